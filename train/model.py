"""The one place where training touches Keras: a model behind typed methods.

Not the training: that is `gatelet.train.trainer`.
"""

import contextlib
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gatelet.errors import BackendMissing, InputError, ModelError
from gatelet.train.config import TrainConfig
from gatelet.train.inputs.fragments import Stored, blocks_of
from gatelet.train.layers import hidden_layers, set_memory
from gatelet.train.tasks import Task, of_labels

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    Weights = list[NDArray[np.float32]]

Ids = Sequence[Sequence[int]]
SCORING_ROWS = 256  # rows a step where nothing is learned: the steps' overhead hardly counts


@dataclass(frozen=True)
class Examples:
    """Rows with what is right.

    Attributes:
        inputs: Token ids int32 [N, T], or features float32 [N, T, F], which may be on disk.
        targets: Label numbers [N], or [N, T] with -1 at padding; 0 and 1 [N, C]; values [N, K].
    """

    inputs: "NDArray[Any]"
    targets: "NDArray[Any]"


@dataclass(frozen=True)
class Features:
    """What is known of the features that a model takes.

    Args:
        timesteps: T.
        mean: Of each feature, F numbers.
        variance: Likewise, 1 of features that never change.
    """

    timesteps: int
    mean: tuple[float, ...]
    variance: tuple[float, ...]


class Network:
    """A Keras model that is asked for scores, and saved; `gatelet.train.trainer` trains it.

    Args:
        model: See `build` and `load`.
    """

    def __init__(self, model: "keras.Model") -> None:
        self.model = model

    @classmethod
    def build(
        cls,
        config: TrainConfig,
        *,
        vocabulary_size: int = 0,
        labels: int = 0,
        task: Task | None = None,
        features: Features | None = None,
    ) -> "Network":
        """Build and compile what the configuration asks for, from its seed.

        Args:
            config: Layers and their sizes, dropout, masking, learning rate and seed.
            vocabulary_size: V: every id is below it; of texts.
            labels: C, two or more; or how many values are predicted.
            task: What is learned; None for one label a row: two give one sigmoid score, that of
                the second, more give a softmax.
            features: What the model takes; None for texts.

        Returns:
            A network from ids int32 [B, T] or features float32 [B, T, F] to scores float32
            [B, C], or [B, T, C] of a task with steps.

        Raises:
            BackendMissing: Keras or TensorFlow is not installed.
        """
        keras = import_keras()
        keras.utils.set_random_seed(config.seed)
        task = task or of_labels(labels)
        # in the order of the model: each layer that is made takes the next seed
        if features is None:
            begin = [
                keras.Input((config.maxlen,), dtype="int32", name="ids"),
                keras.layers.Embedding(
                    vocabulary_size, config.embedding, mask_zero=config.mask_zero, name="embedding"
                ),
            ]
        else:
            begin = _normalized(keras, features)
        dropout = [keras.layers.Dropout(config.dropout, name="dropout")] if config.dropout else []
        hidden = hidden_layers(keras, config, steps=task.steps)
        head = keras.layers.Dense(task.width(labels), activation=task.activation, name="scores")
        # a dropped sensor is no dropped number of an embedding: what is read of it is
        middle = [*dropout, *hidden] if features is None else [*hidden, *dropout]
        layers = [*begin, *middle, head]
        model = keras.Sequential(layers, name="gatelet")
        with known_warnings():
            set_memory(model, config)
        model.compile("adam", task.loss)
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
        keras = import_keras()
        try:
            with known_warnings():
                return cls(keras.models.load_model(path, compile=False))
        except Exception as error:  # Keras raises whatever its layers raise
            raise ModelError(
                f"Keras {keras.__version__} cannot load '{path}': {_first_line(error)}",
                path=str(path),
            ) from error

    def scores(self, ids: Ids) -> list[list[float]]:
        """Return the model's own scores of ids, as lists; see `predict`."""
        if not len(ids):
            return []
        result: list[list[float]] = self.predict(ids).tolist()
        return result

    def predict(self, inputs: "Ids | NDArray[Any] | Stored") -> "NDArray[np.float64]":
        """Return the model's own scores.

        Args:
            inputs: Token ids [B, T], or features float32 [B, T, F]; one row or more.

        Returns:
            [B, 1] probabilities of the second label, [B, C], or [B, T, C].

        Raises:
            InputError: An id is outside the model's vocabulary, or the shape is not the model's.
            ModelError: The model does not take such rows.
        """
        import numpy as np

        if isinstance(inputs, Stored):
            return np.concatenate([self.predict(block) for block in blocks_of(inputs)])
        array = np.asarray(inputs)
        if array.ndim == 2:
            array = array.astype(np.int32)
            self._check_timesteps(array.shape[1])
            self._check_ids(array)
        else:
            self._check_features(array.shape[1:])
        try:
            with known_warnings():
                scores = self.model.predict(array, batch_size=SCORING_ROWS, verbose=0)
        except ValueError as error:
            kind = "ids" if array.ndim == 2 else "features"
            shape = ", ".join(map(str, ("B", *array.shape[1:])))
            raise ModelError(
                f"the model does not take {kind} [{shape}]: {_first_line(error)}"
            ) from error
        return np.asarray(scores, dtype=np.float64)

    def scale_values(self, scale: "NDArray[np.float64]", shift: "NDArray[np.float64]") -> None:
        """Make a linear model give y * scale + shift where it gave y.

        Args:
            scale: Of each value, [K].
            shift: Likewise.
        """
        import numpy as np

        head = self.model.layers[-1]
        with known_warnings():
            kernel, bias = (np.asarray(one, np.float64) for one in head.get_weights())
        scaled = (kernel * scale, bias * scale + shift)
        head.set_weights([one.astype(np.float32) for one in scaled])

    def weights(self) -> "Weights":
        """Copy the weights, in the model's order."""
        with known_warnings():
            return list(self.model.get_weights())

    def restore(self, weights: "Weights") -> None:
        """Put back what `weights` gave."""
        self.model.set_weights(weights)

    @property
    def vocabulary_size(self) -> int:
        """How many ids the embedding has."""
        return int(self.model.get_layer("embedding").input_dim)

    @property
    def width(self) -> int:
        """How many scores a row, or a timestep, has."""
        return int(self.model.output_shape[-1])

    @property
    def saved_bytes(self) -> int:
        """About what `save` writes."""
        return 4 * int(self.model.count_params())

    def save(self, path: Path) -> None:
        """Write a `.keras` file."""
        with known_warnings():
            self.model.save(path)

    def _check_timesteps(self, timesteps: int) -> None:
        """Keras itself takes other lengths, and scores them as the model was not trained to."""
        shape = self.model.input_shape
        if isinstance(shape, tuple) and len(shape) == 2 and shape[1] not in (None, timesteps):
            raise InputError(
                f"the ids have {timesteps} timesteps, the model takes {shape[1]}: "
                "use the vectorizer it was trained with"
            )

    def _check_features(self, shape: tuple[int, ...]) -> None:
        expected = self.model.input_shape[1:]
        if len(expected) != len(shape) or any(
            one not in (None, given) for one, given in zip(expected, shape, strict=True)
        ):
            raise InputError(
                f"the features of a row are {list(shape)}, the model takes {list(expected)}: give "
                "rows of as many timesteps and features as it was trained on"
            )

    def _check_ids(self, array: "NDArray[np.int32]") -> None:
        sizes = [
            layer.input_dim for layer in self.model.layers if type(layer).__name__ == "Embedding"
        ]
        size = min(sizes, default=math.inf)
        if array.min() < 0 or array.max() >= size:
            raise InputError(
                f"an id is {array.max() if array.max() >= size else array.min()}; the model's "
                f"vocabulary has ids from 0 to {size - 1:,}: use the vectorizer it was trained with"
            )


def _normalized(keras: ModuleType, features: Features) -> list[object]:
    """Return layers that bring each feature to mean 0 and variance 1."""
    return [
        keras.Input((features.timesteps, len(features.mean)), dtype="float32", name="features"),
        keras.layers.Normalization(
            axis=-1,
            mean=list(features.mean),
            variance=list(features.variance),
            name="normalization",
        ),
    ]


def import_keras() -> ModuleType:
    """Import Keras, without what TensorFlow logs on the way.

    Raises:
        BackendMissing: It is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    use_one_blas_thread()
    try:
        with _quiet_stderr():
            import keras
    except ImportError as error:
        raise BackendMissing("training needs Keras: pip install 'gatelet[train]'") from error
    module: ModuleType = keras
    return module


def use_one_blas_thread() -> None:
    """Give NumPy's products one thread: those of one row are too small to share out."""
    if "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


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
def known_warnings() -> Iterator[None]:
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
