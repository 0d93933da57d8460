"""The one place where training touches Keras: a model behind typed methods.

Not the training loop: that is `gatelet.train.epochs`.
"""

import contextlib
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gatelet.errors import BackendMissing, InputError, ModelError
from gatelet.train.config import TrainConfig
from gatelet.train.epochs import Epoch

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    Weights = list[NDArray[np.float32]]

Ids = Sequence[Sequence[int]]
OnStep = Callable[[int], None]

SCORING_ROWS = 256  # rows a step where nothing is learned: the steps' overhead hardly counts


@dataclass(frozen=True)
class Examples:
    """Padded texts with their labels.

    Attributes:
        ids: Token ids, int [B, T].
        labels: Label numbers, int [B].
    """

    ids: Ids
    labels: Sequence[int]


class Network:
    """A Keras model that is trained epoch by epoch, asked for scores, and saved.

    Between epochs it holds the moving average of its weights; an epoch goes on from where the
    last step of the one before left them.
    """

    def __init__(self, model: "keras.Model") -> None:
        """Wrap a model; see `build` and `load`."""
        self._model = model
        self._last: Weights | None = None  # what the next epoch goes on from

    @classmethod
    def build(
        cls, config: TrainConfig, *, vocabulary_size: int, labels: int, steps: int
    ) -> "Network":
        """Build and compile the classic recipe from the configuration's seed.

        Two labels give one sigmoid score, that of the second; more give a softmax.

        Args:
            config: Sizes, cell, dropout, masking, learning rate and seed.
            vocabulary_size: V: every id is below it.
            labels: C, two or more.
            steps: Steps of one epoch.

        Returns:
            A network from ids int32 [B, T] to scores float32 [B, 1] or [B, C].

        Raises:
            BackendMissing: Keras or TensorFlow is not installed.
        """
        keras = _import_keras()
        keras.utils.set_random_seed(config.seed)
        layers = [
            keras.Input((config.maxlen,), dtype="int32", name="ids"),
            keras.layers.Embedding(
                vocabulary_size, config.embedding, mask_zero=config.mask_zero, name="embedding"
            ),
            *([keras.layers.Dropout(config.dropout, name="dropout")] if config.dropout else []),
            keras.layers.LSTM(config.units, name="lstm"),
            keras.layers.Dense(1, activation="sigmoid", name="scores")
            if labels == 2
            else keras.layers.Dense(labels, activation="softmax", name="scores"),
        ]
        model = keras.Sequential(layers, name="gatelet")
        loss = "binary_crossentropy" if labels == 2 else "sparse_categorical_crossentropy"
        momentum = _momentum(config.averaging * steps)
        optimizer = keras.optimizers.Adam(
            config.learning_rate, use_ema=momentum > 0, ema_momentum=momentum
        )
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        return cls(model)

    @classmethod
    def load(cls, path: Path) -> "Network":
        """Load a model that Keras saved, without running code from the file.

        Args:
            path: A `.keras` file, or a legacy `.h5` that today's Keras still reads.

        Raises:
            BackendMissing: Keras or TensorFlow is not installed.
            ModelError: Keras cannot load the file.
        """
        if not path.is_file():
            raise ModelError(f"model '{path}' does not exist, or is no file", path=str(path))
        keras = _import_keras()
        try:
            with _known_warnings():
                return cls(keras.models.load_model(path, compile=False))
        except Exception as error:  # Keras raises whatever its layers raise
            raise ModelError(
                f"Keras {keras.__version__} cannot load '{path}': {_first_line(error)}",
                path=str(path),
            ) from error

    def fit_epoch(
        self,
        train: Examples,
        validation: Examples,
        *,
        batch_size: int,
        on_step: OnStep,
    ) -> Epoch:
        """Learn from every training row once, in random order.

        Args:
            train: The rows to learn from.
            validation: The rows to measure only.
            batch_size: Rows a step.
            on_step: Called after each step with the number of steps done. What it raises ends the
                epoch.

        Returns:
            The figures of both parts.
        """
        keras = _import_keras()
        if self._last is not None:
            self._model.set_weights(self._last)
        # Keras puts the average in the weights' place when fit ends, which is after on_epoch_end.
        hooks = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: self._remember(),
            on_train_batch_end=lambda batch, logs: on_step(batch + 1),
        )
        with _known_warnings():
            learned = self._model.fit(
                *_arrays(train),
                batch_size=batch_size,
                callbacks=[hooks],
                verbose=0,
            ).history
            measured = self._model.evaluate(
                *_arrays(validation), batch_size=SCORING_ROWS, return_dict=True, verbose=0
            )
        return Epoch(
            loss=float(learned["loss"][0]),
            accuracy=float(learned["accuracy"][0]),
            val_loss=float(measured["loss"]),
            val_accuracy=float(measured["accuracy"]),
        )

    def scores(self, ids: Ids) -> list[list[float]]:
        """Return the model's own scores.

        Args:
            ids: Token ids [B, T].

        Returns:
            [B][1] probabilities of the second label, or [B][C].

        Raises:
            InputError: An id is outside the model's vocabulary, or T is not the model's.
            ModelError: The model does not take ids.
        """
        import numpy as np

        if not ids:
            return []
        array = np.asarray(ids, dtype=np.int32)
        self._check_timesteps(array.shape[1])
        self._check_ids(array)
        try:
            with _known_warnings():
                scores = self._model.predict(array, batch_size=SCORING_ROWS, verbose=0)
        except ValueError as error:
            raise ModelError(
                f"the model does not take ids [B, {array.shape[1]}]: {_first_line(error)}"
            ) from error
        result: list[list[float]] = np.asarray(scores, dtype=np.float64).tolist()
        return result

    def weights(self) -> "Weights":
        """Copy the weights, in the model's order."""
        with _known_warnings():
            return list(self._model.get_weights())

    def restore(self, weights: "Weights") -> None:
        """Put back what `weights` gave."""
        self._model.set_weights(weights)

    @property
    def saved_bytes(self) -> int:
        """About what `save` writes: each weight, with the two averages that Adam keeps of it."""
        return 3 * 4 * int(self._model.count_params())

    def save(self, path: Path) -> None:
        """Write a `.keras` file."""
        with _known_warnings():
            self._model.save(path)

    def _remember(self) -> None:
        self._last = self.weights()

    def _check_timesteps(self, timesteps: int) -> None:
        """Keras itself takes other lengths, and scores them as the model was not trained to."""
        shape = self._model.input_shape
        if isinstance(shape, tuple) and len(shape) == 2 and shape[1] not in (None, timesteps):
            raise InputError(
                f"the ids have {timesteps} timesteps, the model takes {shape[1]}: "
                "use the vectorizer it was trained with"
            )

    def _check_ids(self, array: "NDArray[np.int32]") -> None:
        sizes = [
            layer.input_dim for layer in self._model.layers if type(layer).__name__ == "Embedding"
        ]
        size = min(sizes, default=math.inf)
        if array.min() < 0 or array.max() >= size:
            raise InputError(
                f"an id is {array.max() if array.max() >= size else array.min()}; the model's "
                f"vocabulary has ids from 0 to {size - 1:,}: use the vectorizer it was trained with"
            )


def _momentum(window_steps: float) -> float:
    """Return the decay whose moving average looks back over so many steps; 0 for no average.

    Source: Polyak & Juditsky 1992, with the exponential weights of Kingma & Ba 2015, section 7.2.
    """
    return 1 - 1 / window_steps if window_steps > 1 else 0.0


def _arrays(examples: Examples) -> tuple["NDArray[np.int32]", "NDArray[np.float32]"]:
    import numpy as np

    return np.asarray(examples.ids, dtype=np.int32), np.asarray(examples.labels, dtype=np.float32)


def _import_keras() -> ModuleType:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with _quiet_stderr():
            import keras
    except ImportError as error:
        raise BackendMissing("training needs Keras: pip install 'gatelet[train]'") from error
    module: ModuleType = keras
    return module


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back what TensorFlow's C++ logs before it reads TF_CPP_MIN_LOG_LEVEL."""
    if "keras" in sys.modules:
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def _known_warnings() -> Iterator[None]:
    """Ignore the one warning that Keras itself causes."""
    with warnings.catch_warnings():
        # Keras' np.array(variable) with NumPy 2: EagerTensor.__array__ has no 'copy' yet.
        warnings.filterwarnings(
            "ignore",
            message="__array__ implementation doesn't accept a copy",
            category=DeprecationWarning,
        )
        yield


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
