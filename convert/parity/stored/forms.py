"""In which form, and in how many parts, a target's files store a weight of the Graph.

Not the reading of files (`readers`), and not the comparison (`weights`).
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.layouts import ONNX_GATES, ONNX_LOOP_GATES, reorder_gates

Places = NDArray[np.int64]
"""For each element of a tensor the place in the weight that it comes from; -1 for zero."""


def forms_of(
    target: str, op: str, role: str, shape: tuple[int, ...]
) -> Iterator[tuple[str, list[Places]]]:
    """Return the forms in which a target may store a weight.

    Args:
        target: Of the file.
        op: Of the node that uses the weight.
        role: Of the weight in it.
        shape: Of the weight.

    Returns:
        The operator that takes a weight in that form, '' for any other; and one part or several.
    """
    places = np.arange(int(np.prod(shape))).reshape(shape)
    if target == "onnx" and "LSTM" in op:
        yield "", [reorder_gates(places, ONNX_LOOP_GATES)]
        own = reorder_gates(places, ONNX_GATES)
        yield "LSTM", [_with_zeros(own) if role == "bias" else own]
        return
    for form in FORMS.get((target, op, role), (_as_it_is,)):
        yield "", form(places)


def _as_it_is(places: Places) -> list[Places]:
    return [places]


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


def _whole(form: Callable[[Places], Places]) -> Callable[[Places], list[Places]]:
    return lambda places: [form(places)]


_Form = Callable[[Places], list[Places]]
FORMS: dict[tuple[str, str, str], tuple[_Form, ...]] = {
    ("onnx", "GRU", "bias"): (_whole(_with_zeros), _rows_apart),
    ("onnx", "SimpleRNN", "bias"): (_whole(_with_zeros), _as_it_is),
    ("onnx", "GRU", "recurrent_kernel"): (_as_it_is, _gates_apart),
    ("litert", "GRU", "bias"): (_as_it_is, _rows_apart),
    ("litert", "GRU", "recurrent_kernel"): (_as_it_is, _gates_apart),
    ("tflm", "GRU", "bias"): (_as_it_is, _rows_apart),
    ("tflm", "GRU", "recurrent_kernel"): (_as_it_is, _gates_apart),
}
"""How a target stores a weight other than as it is; the order of axes is found by trying."""
