"""What the operations of this exporter share: the node at hand, and shapes that may be open.

Not an operation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph.graph import Node

Tf = Any
TfTensor = Any


@dataclass(frozen=True)
class Step:
    """What exporting one node needs.

    Args:
        tf: TensorFlow.
        node: The node.
        inputs: The values of its inputs.
        weights: By role.
        mask: The value of its mask, bool [B, T]; None without one.
        scheme: What is stored and computed how.
        takes_raw_features: Whether the first input is what the caller fed, in whatever range.
    """

    tf: Tf
    node: Node
    inputs: Sequence[TfTensor]
    weights: Mapping[str, NDArray[Any]]
    mask: TfTensor | None
    scheme: Scheme
    takes_raw_features: bool

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The node's settings, in Keras' words."""
        return self.node.attributes

    @property
    def quantized(self) -> bool:
        """Whether large weights are stored as int8."""
        return self.scheme.weights == "int8"

    @property
    def units(self) -> int:
        """The units of a recurrence."""
        return int(self.weights["recurrent_kernel"].shape[-2])


def sizes_of(tf: Tf, x: TfTensor) -> list[Any]:
    """Return a value's sizes: integers where they are known, scalars of the graph elsewhere."""
    known = x.shape.as_list()
    if None not in known:
        return list(known)
    found = tf.shape(x)
    return [found[axis] if size is None else size for axis, size in enumerate(known)]


def reshape_rows(tf: Tf, x: TfTensor, sizes: Sequence[Any]) -> TfTensor:
    """Reshape to [B or any product with it, *sizes], where `sizes` may be open.

    One open size is left to the engine as -1, so that the shape is a constant where it can be.
    """
    open_sizes = [size for size in sizes if not isinstance(size, int)]
    if not open_sizes:
        return tf.reshape(x, [-1, *sizes])
    return tf.reshape(x, tf.stack([-1, *sizes]))


def apart(tf: Tf, rows: TfTensor) -> TfTensor:
    """Return a copy of a value, by a gather of all rows: neither converter nor engine undoes that.

    To be used behind a reshape. XNNPACK takes a reshape for another name of what is reshaped. Where
    it begins with one, and the memory of a model moves in the first call, as it does where sizes
    become known then, it reads in the next call where that was: now and then scores are wrong.
    And the converter moves reshapes that leave B and T alone across a recurrence's transposition,
    and then fails at a shape of two open sizes.
    """
    return tf.gather(rows, tf.range(tf.shape(rows)[0]))


def product(
    tf: Tf, x: TfTensor, kernel: TfTensor, bias: TfTensor | None, *, is_made_here: bool = False
) -> TfTensor:
    """Return x @ kernel + bias over the last axis, of x of any rank.

    Rows are laid out flat: that is one FULLY_CONNECTED, which has int8 kernels in every engine.

    Args:
        tf: TensorFlow.
        x: [..., F].
        kernel: [F, U].
        bias: [U]; None without one.
        is_made_here: x is a transposition that is made for this, so that no reshape comes first.
    """
    flat = x
    if x.shape.rank != 2:
        flat = tf.reshape(x, [-1, x.shape[-1]])
        flat = flat if is_made_here else apart(tf, flat)
    y = tf.matmul(flat, kernel)
    if bias is not None:
        y += bias
    if x.shape.rank == 2:
        return y
    *lead, _ = sizes_of(tf, x)
    return reshape_rows(tf, y, [*lead[1:], y.shape[-1]])


def over(tf: Tf, mask: TfTensor, x: TfTensor) -> TfTensor:
    """Reshape a mask to the rank of x, with size 1 in the axes that it lacks."""
    for _ in range(x.shape.rank - mask.shape.rank):
        mask = tf.expand_dims(mask, -1)
    return mask
