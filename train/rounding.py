"""Training with the weights that a scheme stores: a rounded copy computes, and others are changed.

Not the rounding, which exporters share (`gatelet.runtime.data.rounding`). The gradient of a rounded
weight is taken for that of the weight before it was rounded (the straight-through estimator).

Source: Courbariaux et al. 2015 (BinaryConnect), Jacob et al. 2018.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gatelet.runtime.data.rounding import (
    ROUNDED,
    rounded_kernel,
    rounded_rows,
    settled_kernel,
    settled_table,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_TABLE, _KERNELS = "embeddings", ("kernel", "recurrent_kernel")
_PADDING = 0  # which is read of every row, whatever its ids


class Rounding:
    """The weights of a model in training, and their rounded copy, with which it computes.

    Args:
        scheme: A name of `ROUNDED`.
        model: Built; its trainable weights become the copy.
    """

    def __init__(self, scheme: str, model: Any) -> None:
        import keras

        self._bits = ROUNDED[scheme]
        self._copies = list(model.weights)
        self.weights = [
            keras.Variable(one, name=one.name) if one.trainable else one for one in self._copies
        ]
        """What steps change, in the model's order; what is not trained is the model's own."""

    @property
    def trainable(self) -> list[Any]:
        """The weights that gradients change."""
        return [one for one, copy in zip(self.weights, self._copies, strict=True) if copy.trainable]

    def copy(self, inputs: "NDArray[Any]") -> None:
        """Make the model compute with the weights of now, which a step before has changed.

        Args:
            inputs: The batch that follows: of an embedding the rows of its ids [B, T] are rounded,
                and no others.
        """
        for copy, weight in zip(self._copies, self.weights, strict=True):
            if not copy.trainable:
                continue
            if copy.name == _TABLE:
                self._copy_rows(copy, weight, inputs)
            elif copy.name in _KERNELS:
                copy.assign(rounded_kernel(weight.numpy(), self._bits.kernels))
            else:
                copy.assign(weight)

    def _copy_rows(self, copy: Any, weight: Any, ids: "NDArray[np.int32]") -> None:
        import numpy as np
        import tensorflow as tf

        rows = np.union1d(ids, _PADDING)
        rounded = rounded_rows(weight.numpy()[rows], self._bits.embeddings)
        copy.value.scatter_update(tf.IndexedSlices(rounded, rows))

    def settled(self, weights: Sequence[Any]) -> "list[Array]":
        """Return what a file of the scheme holds of weights, in the order of the model's."""
        import numpy as np

        made = []
        for copy, weight in zip(self._copies, weights, strict=True):
            values = np.asarray(weight.numpy(), np.float32)
            if copy.name == _TABLE:
                values = settled_table(values, self._bits.embeddings)
            elif copy.name in _KERNELS:
                values = settled_kernel(values, self._bits.kernels)
            made.append(values)
        return made
