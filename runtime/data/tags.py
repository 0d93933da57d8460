"""The labels of timesteps: which of a text's labels stands at which of its padded ids.

Not the figures of taggers, nor the labels themselves, which data files hold.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gatelet.errors import DataError
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.datafiles import shown
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.truth import label_ids_of
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

PADDING = -1
"""The label of a timestep that stands for no token."""


def tag_ids_of(
    data: Dataset | Arrays, labels: Sequence[str], vectorizer: AnyVectorizer | None
) -> "NDArray[Any]":
    """Return the position of each timestep's label.

    Args:
        data: Texts with lists of labels, one a token; or arrays with y [N, T].
        labels: C names, in a model's order.
        vectorizer: Of texts: it says what the tokens are, which are dropped, cut off and padded.

    Returns:
        int32 [N, T], `PADDING` where there is no token.

    Raises:
        DataError: There are no such labels, one is none of the model's, or they are not one a
            token.
    """
    import numpy as np

    if isinstance(data, Arrays):
        steps = data.targets
        if steps is None or steps.shape != data.inputs[0].shape[:2]:
            held = "nothing" if steps is None else list(steps.shape)
            raise DataError(
                f"'{data.name}': 'y' is {held}, expected {list(data.inputs[0].shape[:2])}: a label "
                "for each timestep"
            )
        flat = steps.reshape(-1)
        found = label_ids_of(Arrays((flat,), flat, data.name), labels)
        return np.array(found, np.int32).reshape(steps.shape)
    assert vectorizer is not None
    rows = aligned(data, vectorizer)
    each = [name for row in rows for name in row if name is not None]
    ids = iter(Dataset(("",) * len(each), tuple(each), data.name).label_ids(labels))
    placed = [[PADDING if name is None else next(ids) for name in row] for row in rows]
    return np.array(placed, np.int32)


def aligned(data: Dataset, vectorizer: AnyVectorizer) -> list[list[str | None]]:
    """Return the label at each of the padded ids of each text, None at padding.

    Raises:
        DataError: The labels of a row are not one a token.
    """
    if data.label_lists is None:
        raise DataError(
            f"'{data.name}' has one label a row, expected one a token: a JSONL file whose rows "
            'have "text" and "labels", a list',
            path=data.name,
        )
    pairs = zip(data.texts, data.label_lists, strict=True)
    return [_placed(t, given, vectorizer, data.name, n) for n, (t, given) in enumerate(pairs, 1)]


def _placed(
    text: str, labels: Sequence[str], vectorizer: AnyVectorizer, name: str, row: int
) -> list[str | None]:
    tokens = vectorizer.tokens(text)
    by_character = isinstance(vectorizer, Vectorizer) and vectorizer.char_level
    if by_character and len(labels) == 1 < len(tokens):
        labels = tuple(labels[0])  # of a string without blanks each character is one
    if len(labels) != len(tokens):
        raise DataError(
            f"'{name}' row {row} has {len(labels)} labels and {len(tokens)} tokens, as the "
            f"vectorizer splits it ({shown(tokens)}): give one label for each, or set --filters "
            "and --split so that tokens are those that were labelled",
            path=name,
            row=row,
        )
    maxlen, kept = vectorizer.maxlen, list[str | None](labels)
    if not isinstance(vectorizer, Vectorizer):  # it drops no word, and pads and cuts behind
        return kept[:maxlen] + [None] * (maxlen - len(kept))
    if vectorizer.oov_id is None:
        kept = [one for t, one in zip(tokens, labels, strict=True) if t in vectorizer.vocabulary]
    kept = kept[-maxlen:] if vectorizer.truncating == "pre" else kept[:maxlen]
    fill: list[str | None] = [None] * (maxlen - len(kept))
    return fill + kept if vectorizer.padding == "pre" else kept + fill
