"""What keeps a training from learning its rows by heart: forgotten words, smaller steps.

Not the steps (`gatelet.train.steps`), nor dropout, which is a layer of the model. Nothing here has
a state of its own: all of it follows from the seed and the number of the epoch or step, so a
training that was stopped goes on as it would have.
"""

import math
from typing import TYPE_CHECKING

from gatelet.train.config import TrainConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OOV_ID = 1
"""What `Vectorizer.fit` calls unknown words where they have a token."""


def forget_words(
    ids: "NDArray[np.int32]", config: TrainConfig, *, number: int, in_place: bool = False
) -> "NDArray[np.int32]":
    """Return rows as the vectorizer would, if it did not know some of their words.

    Each word of each row is unknown with the same chance, anew in each epoch; those that stand
    together may be so together, which leaves the pairs of the others whole. Unknown words become
    the token that stands for them; without one they are dropped, and the others close up.

    Args:
        ids: Padded rows [N, T]; 0 is padding.
        config: word_dropout, word_dropout_run, padding, oov_token, seed.
        number: Of the epoch.
        in_place: Each timestep has a label, so none may be dropped: there is a token, which the
            settings need not name.

    Source: Iyyer et al. 2015, Deep Unordered Composition, section 3.2.
    """
    import numpy as np

    if not config.word_dropout:
        return ids
    generator = np.random.default_rng((config.seed, number, _FORGETTING))
    chances = generator.random(ids.shape, np.float32)
    if config.word_dropout_run > 1:
        begins = generator.random(ids.shape, np.float32) < 1 / config.word_dropout_run
        places = np.where(begins, np.arange(ids.shape[1]), 0)
        chances = np.take_along_axis(chances, np.maximum.accumulate(places, axis=1), axis=1)
    known = chances >= config.word_dropout
    if in_place or config.oov_token is not None:
        return np.where(known | (ids == 0), ids, np.int32(_OOV_ID))
    left = np.where(known, ids, np.int32(0))
    is_word = left != 0
    order = np.argsort(is_word if config.padding == "pre" else ~is_word, axis=1, kind="stable")
    return np.take_along_axis(left, order, axis=1)


_FORGETTING = 1
"""Sets this generator apart from that of the order of rows, which has the same seed."""


def step_size(config: TrainConfig, *, taken: int, steps: int) -> float:
    """Return the size of the next step.

    Args:
        config: learning_rate, schedule, epochs.
        taken: Steps that were taken.
        steps: Of an epoch.

    Source: Loshchilov & Hutter 2017, SGDR, equation 5, without restarts.
    """
    share = min(1.0, taken / (steps * config.epochs))
    left = {
        "constant": 1.0,
        "linear": 1 - share,
        "cosine": (1 + math.cos(math.pi * share)) / 2,
    }
    return config.learning_rate * left[config.schedule]
