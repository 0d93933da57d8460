"""Reads the constants of ONNX files, with a vectorizer in them or without.

Not their comparison with the Graph, which is `weights`.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from gatelet.convert.parity.stored.file import Stored, StoredFile, of_levels, scaled

_LSTMS = ("LSTM", "DynamicQuantizeLSTM")
_INT8_SUFFIX, _INT4_SUFFIX, _SCALES_SUFFIX = "_int8", "_int4", "_scales"


def read_onnx(file: StoredFile) -> list[Stored]:
    """Read the initializers of an ONNX file: floats, and integers with the scales beside them.

    Scales are floats, or multiples of some float of the file: the comparison keeps the one that
    fits best. Tables of 4 bits have two levels in a byte.
    """
    import onnx

    model = onnx.load(str(file.path))
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    found = [Stored(n, a) for n, a in arrays.items() if a.dtype.kind == "f"]
    scales = [a for n, a in arrays.items() if n.rstrip("_").endswith(_SCALES_SUFFIX)]
    units = {float(one.values.reshape(-1)[0]) for one in found if one.values.size == 1}
    for name, array in arrays.items():
        if array.dtype == np.uint8 and name.rstrip("_").endswith(_INT4_SUFFIX):
            own = arrays.get(name.replace(_INT4_SUFFIX, _SCALES_SUFFIX))
            for candidate in [own] if own is not None else scales:
                found += of_levels(name, array, candidate, units)
            continue
        if array.dtype != np.int8 or not name.rstrip("_").endswith(_INT8_SUFFIX):
            continue
        own = arrays.get(name.replace(_INT8_SUFFIX, _SCALES_SUFFIX))
        # equal arrays are stored once, under the name of the first
        for candidate in [own] if own is not None else scales:
            for unit in {1.0} if candidate.dtype.kind == "f" else units - {0.0}:
                found += scaled(name, array, candidate.astype(np.float64) * unit)
    taken = _taken_by_lstms(model)
    return [replace(one, operator="LSTM") if one.name in taken else one for one in found]


def _taken_by_lstms(model: Any) -> set[str]:
    """Return the initializers that are weights of the operator LSTM, cast or not."""
    makers = {name: node for node in model.graph.node for name in node.output}
    wanted: list[str] = []
    for node in model.graph.node:
        if node.op_type in _LSTMS:
            wanted += node.input[1:4]
    taken: set[str] = set()
    while wanted:
        name = wanted.pop()
        taken.add(name)
        wanted += makers[name].input if name in makers else ()
    return taken
