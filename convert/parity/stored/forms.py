"""Which operator reads a weight of the Graph in a target's files, at which place, in which form.

Not the reading of files (`readers`), and not the comparison (`match`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.layouts import GATES, ONNX_GATES, ONNX_LOOP_GATES, reorder_gates
from gatelet.runtime.graph.operations import VECTOR_RECURRENCES

Places = NDArray[np.int64]
"""For each element of a tensor the place in the weight that it comes from; -1 for zero."""

Form = Callable[[Places], Places]


@dataclass(frozen=True)
class Part:
    """A part of a weight, as operators read it.

    Args:
        kinds: Of the operators.
        place: Of their inputs; -1 for whichever of two is a constant.
        form: What they get of the weight.
        inside: Whether they are in a loop's body.
        which: Of the operators that are there, in order, or from the end; None for all of them,
            which then read the same.
        after: Where operators have no scope: they come behind the node's own, not beside it.
    """

    kinds: tuple[str, ...]
    place: int
    form: Form
    inside: bool = False
    which: int | None = None
    after: bool = False


LOOKUP = "lookup"
"""The kind of whatever operator gives the rows of a table."""


def as_it_is(places: Places) -> Places:
    """Return a weight as the Graph has it."""
    return places


def turned(places: Places) -> Places:
    """Turn a kernel [F, U] into [U, F]."""
    return places.T


def _filters(places: Places) -> Places:
    """Put the filters of a convolution first, then its channels: [F, C, k...]."""
    axes = places.ndim - 2
    return places.transpose(axes + 1, axes, *range(axes))


def _filters_last(places: Places) -> Places:
    """Put the filters of a convolution first, and leave its channels last: [F, k..., C]."""
    return np.moveaxis(places, -1, 0)


def _gates_in(order: str) -> Callable[[Form], Form]:
    """Put an LSTM's gates in another order before anything else."""
    return lambda form: lambda places: form(reorder_gates(places, order))


def _both_biases(places: Places) -> Places:
    """Put the bias of the state behind that of the input: a GRU has it, others have zeros."""
    both = places if places.ndim == 2 else np.stack([places, np.full_like(places, -1)])
    return both.reshape(-1)


def _row(index: int) -> Form:
    return lambda places: places[index]


def _of_gates(form: Form) -> Form:
    """Take both gates of a GRU."""
    return lambda places: form(places[:, : 2 * (places.shape[1] // 3)])


def _of_candidate(form: Form) -> Form:
    return lambda places: form(places[:, 2 * (places.shape[1] // 3) :])


def _of_gate(index: int, form: Form) -> Form:
    return lambda places: form(np.split(places, len(GATES), axis=-1)[index])


Alternatives = tuple[tuple[Part, ...], ...]
"""The ways in which a weight may be stored, each of one part or several."""


def _reads(kinds: str, place: int, form: Form = as_it_is, **options: Any) -> tuple[Part, ...]:
    return (Part(tuple(kinds.split()), place, form, **options),)


def _fused(first: int, form: Form) -> tuple[Part, ...]:
    """Return the gates of a fused LSTM, each an input of its own, in the Graph's order."""
    kind = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    return tuple(Part((kind,), first + gate, _of_gate(gate, form)) for gate in range(len(GATES)))


_LOOP_ONNX = _gates_in(ONNX_LOOP_GATES)
_OWN_ONNX = _gates_in(ONNX_GATES)

_ONNX: dict[tuple[str, str], Alternatives] = {
    ("Embedding", "embeddings"): (_reads(LOOKUP, 0),),
    ("Dense", "kernel"): (_reads("MatMul Gemm DynamicQuantizeMatMul", 1),),
    ("Dense", "bias"): (
        _reads("Gemm", 2),
        _reads("DynamicQuantizeMatMul", 4),
        _reads("Add", -1),
    ),
    ("PReLU", "alpha"): (_reads("Mul", -1),),
    ("Affine", "scale"): (_reads("Mul", -1),),
    ("Affine", "shift"): (_reads("Add", -1),),
    ("LayerNormalization", "gamma"): (_reads("Mul", -1, which=-1),),
    ("LayerNormalization", "beta"): (_reads("Add", -1, which=-1),),
    ("Conv", "kernel"): (_reads("Conv", 1, _filters),),
    ("Conv", "bias"): (_reads("Conv", 2),),
    ("ConvLSTM2D", "kernel"): (_reads("Conv", 1, _LOOP_ONNX(_filters)),),
    ("ConvLSTM2D", "recurrent_kernel"): (_reads("Conv", 1, _LOOP_ONNX(_filters), inside=True),),
    ("ConvLSTM2D", "bias"): (_reads("Conv", 2, _LOOP_ONNX(as_it_is)),),
    ("LSTM", "kernel"): (
        _reads("LSTM", 1, _OWN_ONNX(turned)),
        _reads("DynamicQuantizeLSTM", 1, _OWN_ONNX(as_it_is)),
        _reads("MatMul", 1, _LOOP_ONNX(as_it_is)),
    ),
    ("LSTM", "recurrent_kernel"): (
        _reads("LSTM", 2, _OWN_ONNX(turned)),
        _reads("DynamicQuantizeLSTM", 2, _OWN_ONNX(as_it_is)),
        _reads("Gemm", 1, _LOOP_ONNX(as_it_is), inside=True),
    ),
    ("LSTM", "bias"): (
        _reads("LSTM DynamicQuantizeLSTM", 3, _OWN_ONNX(_both_biases)),
        _reads("Add", -1, _LOOP_ONNX(as_it_is)),
    ),
    ("GRU", "kernel"): (_reads("GRU", 1, turned), _reads("MatMul", 1)),
    ("GRU", "recurrent_kernel"): (
        _reads("GRU", 2, turned),
        _reads("Gemm", 1, inside=True),
        (
            *_reads("MatMul", 1, _of_gates(as_it_is), inside=True, which=0),
            *_reads("MatMul", 1, _of_candidate(as_it_is), inside=True, which=1),
        ),
    ),
    ("GRU", "bias"): (
        _reads("GRU", 3, _both_biases),
        (*_reads("Add", -1, _row(0)), *_reads("Gemm", 2, _row(1), inside=True)),
        _reads("Add", -1),
    ),
    ("SimpleRNN", "kernel"): (_reads("RNN", 1, turned), _reads("MatMul", 1)),
    ("SimpleRNN", "recurrent_kernel"): (
        _reads("RNN", 2, turned),
        _reads("Gemm", 1, inside=True),
    ),
    ("SimpleRNN", "bias"): (_reads("RNN", 3, _both_biases), _reads("Add", -1)),
}

_FC = "FULLY_CONNECTED"
_LITE_BIAS = (_reads(_FC, 2), _reads("Add", -1, after=True))
_LITE_RECURRENT = {
    "kernel": (_reads(_FC, 1, turned), _reads("BATCH_MATMUL", 1)),
    "recurrent_kernel": (
        _reads(_FC, 1, turned, inside=True),
        _reads("BATCH_MATMUL", 1, inside=True),
    ),
    "bias": _LITE_BIAS,
}

_LITERT: dict[tuple[str, str], Alternatives] = {
    ("Embedding", "embeddings"): (_reads(LOOKUP, 0),),
    ("Dense", "kernel"): _LITE_RECURRENT["kernel"],
    ("Dense", "bias"): _LITE_BIAS,
    ("PReLU", "alpha"): (_reads("PRELU", 1, after=True), _reads("Mul", -1, after=True)),
    ("Affine", "scale"): (_reads("Mul", -1, after=True),),
    ("Affine", "shift"): (_reads("Add", -1, after=True),),
    ("LayerNormalization", "gamma"): (_reads("Mul", -1, after=True),),
    ("LayerNormalization", "beta"): (_reads("Add", -1, after=True),),
    ("Conv", "kernel"): (_reads("CONV_2D", 1, _filters_last), _reads("DEPTHWISE_CONV_2D", 1)),
    ("Conv", "bias"): (
        _reads("CONV_2D DEPTHWISE_CONV_2D", 2),
        _reads("Add", -1, after=True),
    ),
    ("ConvLSTM2D", "kernel"): (_reads("CONV_2D", 1, _filters_last),),
    ("ConvLSTM2D", "recurrent_kernel"): (_reads("CONV_2D", 1, _filters_last, inside=True),),
    ("ConvLSTM2D", "bias"): (_reads("CONV_2D", 2), _reads("Add", -1, after=True)),
    **{(op, role): ways for op in VECTOR_RECURRENCES for role, ways in _LITE_RECURRENT.items()},
    ("GRU", "recurrent_kernel"): (
        *_LITE_RECURRENT["recurrent_kernel"],
        (
            *_reads(_FC, 1, _of_gates(turned), inside=True),
            *_reads(_FC, 1, _of_candidate(turned), inside=True),
        ),
        (
            *_reads("BATCH_MATMUL", 1, _of_gates(as_it_is), inside=True),
            *_reads("BATCH_MATMUL", 1, _of_candidate(as_it_is), inside=True),
        ),
    ),
    ("GRU", "bias"): (
        (*_reads(_FC, 2, _row(0)), *_reads(_FC, 2, _row(1), inside=True)),
        (*_reads("Add", -1, _row(0), after=True), *_reads(_FC, 2, _row(1), inside=True)),
        *_LITE_BIAS,
    ),
}

_TFLM: dict[tuple[str, str], Alternatives] = {
    ("Embedding", "embeddings"): (_reads(LOOKUP, 0),),
    ("Dense", "kernel"): (_reads(_FC, 1, turned),),
    ("Dense", "bias"): (_reads(_FC, 2),),
    ("PReLU", "alpha"): (_reads("Mul", -1),),
    ("Affine", "scale"): (_reads("Mul", -1),),
    ("Affine", "shift"): (_reads("Add", -1),),
    ("LayerNormalization", "gamma"): (_reads("Mul", -1, which=-1),),
    ("LayerNormalization", "beta"): (_reads("Add", -1, which=-1),),
    ("LSTM", "kernel"): (_fused(1, turned), _reads(_FC, 1, turned, which=0)),
    ("LSTM", "recurrent_kernel"): (_fused(5, turned), _reads(_FC, 1, turned, which=1)),
    ("LSTM", "bias"): (_fused(12, as_it_is), _reads(_FC, 2, which=0)),
    ("GRU", "kernel"): (_reads(_FC, 1, turned, which=0),),
    ("GRU", "recurrent_kernel"): (
        _reads(_FC, 1, turned, which=1),
        (
            *_reads(_FC, 1, _of_gates(turned), which=1),
            *_reads(_FC, 1, _of_candidate(turned), which=2),
        ),
    ),
    ("GRU", "bias"): (
        (*_reads(_FC, 2, _row(0), which=0), *_reads(_FC, 2, _row(1), which=1)),
        _reads(_FC, 2, which=0),
    ),
    ("SimpleRNN", "kernel"): (_reads(_FC, 1, turned, which=0),),
    ("SimpleRNN", "recurrent_kernel"): (_reads(_FC, 1, turned, which=1),),
    ("SimpleRNN", "bias"): (_reads(_FC, 2, which=0),),
}

_BY_TARGET = {"onnx": _ONNX, "litert": _LITERT, "tflm": _TFLM}


def ways_to_store(target: str, op: str, role: str) -> Alternatives:
    """Return the ways in which a target's files may store a weight.

    Args:
        target: Of the file.
        op: Of the node that uses the weight.
        role: Of the weight in it.
    """
    return _BY_TARGET[target].get((_FAMILY.get(op, op), role), ())


_FAMILY = {"Conv1D": "Conv", "Conv2D": "Conv"}
