"""In which form, and in how many parts, a target's files store a weight of the Graph.

Not the reading of files (`readers`), and not the comparison (`weights`).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.c.blob import pack_columns, pack_gates
from gatelet.convert.exporters.onnx.recurrent import node_needs_scan
from gatelet.runtime.graph.graph import Node
from gatelet.runtime.graph.operations import CONVOLUTIONS, GATES

__all__ = ["Places", "forms_of", "packing_of"]

Places = NDArray[np.int64]
"""For each element of a tensor the place in the weight that it comes from; -1 for zero."""


def packing_of(target: str, scheme: str) -> str:
    """Name how a target packs weights: c has other kernels for integers, and other forms."""
    return "c integers" if (target, scheme) == ("c", "full-int8") else target


def forms_of(packing: str, node: Node, role: str, shape: tuple[int, ...]) -> Iterator[list[Places]]:
    """Give the forms in which a target may store a weight, each one part or several.

    Args:
        packing: Of the file's target: see `packing_of`.
        node: That uses the weight.
        role: Of the weight in it.
        shape: Of the weight.
    """
    places = np.arange(int(np.prod(shape))).reshape(shape)
    if packing == "c":
        yield _in_blob(node, role, places)
        return
    forms = FORMS.get((packing, node.op, role), (_as_it_is,))
    if packing == "onnx" and "LSTM" in node.op:
        in_loop = node.op == "ConvLSTM2D" or node_needs_scan(node)
        forms = (_LOOP_FORM,) if in_loop else forms
    for form in forms:
        yield form(places)


def _as_it_is(places: Places) -> list[Places]:
    return [places]


def _onnx_gates(places: Places) -> Places:
    """Reorder an LSTM's gates along the last axis, from i, f, c, o to i, o, f, c."""
    i, f, c, o = np.split(places, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1)


def _onnx_loop_gates(places: Places) -> Places:
    """Reorder an LSTM's gates from i, f, c, o to i, f, o, c, as the exporter's Scan has them."""
    i, f, c, o = np.split(places, 4, axis=-1)
    return np.concatenate([i, f, o, c], axis=-1)


def _with_zeros(places: Places) -> Places:
    """Put the bias of the state behind that of the input: a GRU has it, others have zeros."""
    both = places if places.ndim == 2 else np.concatenate([places, np.full_like(places, -1)])
    return both.reshape(-1)


def _gates_apart(places: Places) -> list[Places]:
    """Split a GRU's kernel into that of both gates and that of the candidate."""
    U = places.shape[-1] // 3
    return [places[:, : 2 * U], places[:, 2 * U :]]


def _rows_apart(places: Places) -> list[Places]:
    return list(places) if places.ndim == 2 else [places]


def _in_blob(node: Node, role: str, places: Places) -> list[Places]:
    """Pack places as the exporter packs: columns in whole tiles, the gates of a unit together."""
    gates = GATES.get(node.op, 1)
    if node.op in CONVOLUTIONS and role in ("kernel", "recurrent_kernel"):
        groups = node.attributes.get("groups", 1) if role == "kernel" else 1
        seen = places.reshape(-1, places.shape[-1])
        return [_packed(part, 1) for part in np.split(seen, groups, axis=1)]
    if node.op in CONVOLUTIONS or role not in ("kernel", "recurrent_kernel", "bias"):
        return [places]
    if role == "recurrent_kernel" and not node.attributes.get("reset_after", True):
        return [_packed(part, part.shape[1] // len(part)) for part in _gates_apart(places)]
    return [_packed(part, gates) for part in (_rows_apart(places) if role == "bias" else [places])]


def _packed(places: Places, gates: int) -> Places:
    # packing fills up with zeros
    packed = pack_columns(places + 1) if gates == 1 else pack_gates(places + 1, gates)
    return np.asarray(packed - 1, np.int64)


def _whole(form: Callable[[Places], Places]) -> Callable[[Places], list[Places]]:
    return lambda places: [form(places)]


_Form = Callable[[Places], list[Places]]
FORMS: dict[tuple[str, str, str], tuple[_Form, ...]] = {
    ("onnx", "LSTM", "kernel"): (_whole(_onnx_gates),),
    ("onnx", "LSTM", "recurrent_kernel"): (_whole(_onnx_gates),),
    ("onnx", "LSTM", "bias"): (_whole(lambda places: _with_zeros(_onnx_gates(places))),),
    ("onnx", "GRU", "bias"): (_whole(_with_zeros), _rows_apart),
    ("onnx", "SimpleRNN", "bias"): (_whole(_with_zeros), _as_it_is),
    ("onnx", "GRU", "recurrent_kernel"): (_as_it_is, _gates_apart),
    ("litert", "GRU", "bias"): (_as_it_is, _rows_apart),
    ("litert", "GRU", "recurrent_kernel"): (_as_it_is, _gates_apart),
    ("c integers", "GRU", "bias"): (_as_it_is, _rows_apart),
    ("c integers", "GRU", "recurrent_kernel"): (_as_it_is, _gates_apart),
    ("tflm", "GRU", "bias"): (_as_it_is, _rows_apart),
    ("tflm", "GRU", "recurrent_kernel"): (_as_it_is, _gates_apart),
}
"""How a target stores a weight other than as it is; the order of axes is found by trying."""

_LOOP_FORM = _whole(_onnx_loop_gates)
