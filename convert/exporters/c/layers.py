"""Products, normalisations, reductions, and the operations that combine or rearrange, as C calls.

Not recurrences, convolutions, activations and masks, which have files of their own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.c.sizes import Size, elements, known, largest_elements
from gatelet.convert.exporters.c.source import number
from gatelet.convert.exporters.c.writer import Call, Part, Value, Writer
from gatelet.convert.layouts import padded_columns

DENSE_ROWS = 4
"""Rows that a Dense layer works on at a time."""
_BYTES = {"float": 4, "ids": 4, "int16": 2, "mask": 1, "word": 4}


def as_floats(writer: Writer, value: Value) -> Value:
    """Return a value as floats, whatever it is."""
    if value.kind == "float":
        return value
    y = writer.make(value.dims)
    if value.kind == "int16":
        writer.kernels.add("integer")
        n, scale = elements(value.dims), number(value.scale)
        writer.call("gatelet_floats_of_integers", value.name, n, scale, y.name)
        return y
    if value.kind == "word":
        writer.kernels.add("integer")
        given = (elements(value.dims), str(unused_bits(value.scale)), number(value.scale))
        writer.call("gatelet_floats_of_words", value.name, *given, y.name)
        return y
    writer.kernels.add("layers")
    function = "gatelet_floats_of" if value.kind == "ids" else "gatelet_floats_of_mask"
    writer.call(function, value.name, elements(value.dims), y.name)
    return y


def unused_bits(scale: float) -> int:
    """Return how many bits of a state's word are below the state: 16 bits lie in the upper half."""
    return 16 if scale == 2.0**-15 else 0


def as_ids(writer: Writer, value: Value) -> Value:
    """Return a value as ids: a model may take them as features."""
    if value.kind == "ids":
        return value
    writer.kernels |= {"layers", "product"}
    ids = writer.make(value.dims, "ids")
    writer.call("gatelet_integers_of", value.name, elements(ids.dims), ids.name)
    return ids


def write_embedding(writer: Writer, call: Call) -> list[Value]:
    """Write an `Embedding` node."""
    ids = as_ids(writer, call.x)
    writer.kernels |= {"layers", "product"}
    name, limit = writer.table(call.part("embeddings"))
    features = call.weights["embeddings"].shape[1]
    dims = (*ids.dims, known(features))
    if not call.feeds_one:
        y = writer.make(dims, exact_limit=limit)
        writer.call("gatelet_embedding", f"&{name}", ids.name, elements(ids.dims), y.name)
        return [y]
    whole = largest_elements(dims)
    slot = writer.memory(f"(GATELET_SMALL ? (size_t){features} : {whole})")
    row = writer.name("value")
    writer.line(f"float *const {row} = {slot.name};")
    writer.line("#if !GATELET_SMALL")
    writer.call("gatelet_embedding", f"&{name}", ids.name, elements(ids.dims), row)
    writer.line("#endif")
    made = {"embed": "gatelet_embedding", "table": f"&{name}", "ids": ids.name, "row": row}
    return [Value(row, "float", dims, slot, exact_limit=limit, made=made)]


def write_dense(writer: Writer, call: Call) -> list[Value]:
    """Write a `Dense` node."""
    writer.kernels |= {"layers", "product"}
    x, units = call.x, call.weights["kernel"].shape[1]
    name = writer.matrix(call.part("kernel"), raw=x.raw, exact_limit=x.exact_limit)
    bias = writer.optional(call, "bias", gates=1)
    y = writer.make((*x.dims[:-1], known(units)))
    m, most = elements(x.dims[:-1]), largest_elements(x.dims[:-1])
    at_once = f"({most} < {DENSE_ROWS} ? {most} : (size_t){DENSE_ROWS})"
    work = writer.work(f"{at_once} * {padded_columns(units)}")
    writer.call("gatelet_dense", f"&{name}", bias, x.name, m, str(units), y.name, work)
    return [y]


def write_prelu(writer: Writer, call: Call) -> list[Value]:
    """Write a `PReLU` node."""
    y = writer.make(call.x.dims)
    _combine_weight(writer, "GATELET_PRELU", call.x, call.part("alpha"), y)
    return [y]


def write_affine(writer: Writer, call: Call) -> list[Value]:
    """Write an `Affine` node."""
    y = writer.make(call.x.dims)
    _combine_weight(writer, "GATELET_MULTIPLY", call.x, call.part("scale"), y)
    _combine_weight(writer, "GATELET_ADD", y, call.part("shift"), y)
    return [y]


def write_layer_normalization(writer: Writer, call: Call) -> list[Value]:
    """Write a `LayerNormalization` node."""
    attributes, x = call.node.attributes, call.x
    y = writer.make(x.dims)
    _reduce(writer, "GATELET_NORMALIZE", x, attributes["axes"], attributes["epsilon"], y)
    for role, operation in (("gamma", "GATELET_MULTIPLY"), ("beta", "GATELET_ADD")):
        if role in call.weights:
            weight = call.part(role)
            if weight.array.ndim == len(attributes["axes"]) < len(x.dims) - 1:
                over = _over_axes(weight.array, attributes["axes"], len(x.dims))
                weight = Part(over, weight.place)
            _combine_weight(writer, operation, y, weight, y)
    return [y]


def _over_axes(weight: NDArray[Any], axes: Sequence[int], rank: int) -> NDArray[Any]:
    """Reshape a weight of the normalised axes to the rank of x without B, for broadcasting."""
    return weight.reshape((1,) * (rank - 1 - weight.ndim) + weight.shape)


def write_global_average_pooling_1d(writer: Writer, call: Call) -> list[Value]:
    """Write a `GlobalAveragePooling1D` node; a row that is all masked gives 0/0."""
    writer.kernels.add("layers")
    x = call.x
    rows, timesteps, *features = x.dims
    middle = [known(1)] if call.node.attributes.get("keepdims") else []
    y = writer.make((rows, *middle, *features))
    mask = "NULL" if call.mask is None else call.mask.name
    texts = (rows.text, timesteps.text, elements(features))
    writer.call("gatelet_average_time", x.name, mask, *texts, y.name)
    return [y]


def write_reduction(writer: Writer, call: Call) -> list[Value]:
    """Write a `ReduceMax` or `ReduceMean` node."""
    attributes, x = call.node.attributes, call.x
    axes = [axis % len(x.dims) for axis in attributes["axes"]]
    keepdims = attributes.get("keepdims")
    dims = [
        known(1) if axis in axes else size
        for axis, size in enumerate(x.dims)
        if keepdims or axis not in axes
    ]
    y = writer.make(dims)
    reduction = "GATELET_MAX" if call.node.op == "ReduceMax" else "GATELET_MEAN"
    _reduce(writer, reduction, x, axes, 0.0, y)
    return [y]


def _reduce(
    writer: Writer, reduction: str, x: Value, axes: Sequence[int], epsilon: float, y: Value
) -> None:
    writer.kernels.add("layers")
    rank = len(x.dims)
    flags = [int(axis in [a % rank for a in axes]) for axis in range(rank)]
    shape, reduced = writer.ints(x.dims), writer.ints(flags, "uint8_t")
    writer.call(
        "gatelet_reduce", reduction, x.name, shape, reduced, str(rank), number(epsilon), y.name
    )


def write_fold(operation: str) -> Callable[[Writer, Call], list[Value]]:
    """Return what writes a node that joins n values, or masks, by an operation of two."""

    def write(writer: Writer, call: Call) -> list[Value]:
        writer.kernels.add("layers")
        if call.x.kind == "mask":
            return [_fold_masks(writer, operation, call.inputs)]
        inputs = [as_floats(writer, value) for value in call.inputs]
        y = writer.make(_broadcast(inputs))
        shape, rank = writer.ints(y.dims), str(len(y.dims))
        before = inputs[0]
        for value in inputs[1:]:
            strides = [_strides(writer, one.dims, y.dims) for one in (before, value)]
            writer.call(
                "gatelet_combine", f"GATELET_{operation}", before.name, strides[0], value.name,
                strides[1], shape, rank, y.name,
            )  # fmt: skip
            before = y
        if len(inputs) == 1:
            writer.line(f"memcpy({y.name}, {before.name}, 4 * ({elements(y.dims)}));")
        return [y]

    return write


def _fold_masks(writer: Writer, operation: str, masks: list[Value]) -> Value:
    n, before = elements(masks[0].dims), masks[0]
    y = writer.make(masks[0].dims, "mask")
    for mask in masks[1:]:
        writer.call(
            "gatelet_combine_masks", f"GATELET_{operation}", before.name, mask.name, n, y.name
        )
        before = y
    if len(masks) == 1:
        writer.line(f"memcpy({y.name}, {before.name}, {n});")
    return y


def write_average(writer: Writer, call: Call) -> list[Value]:
    """Write an `Average` node."""
    (y,) = write_fold("ADD")(writer, call)
    writer.call("gatelet_divide", y.name, elements(y.dims), number(len(call.inputs)))
    return [y]


def _combine_weight(writer: Writer, operation: str, x: Value, weight: Part, y: Value) -> None:
    """Combine x with a weight that is broadcast to x without B."""
    writer.kernels.add("layers")
    dims = tuple(map(known, weight.array.shape))
    a, b = _strides(writer, x.dims, y.dims), _strides(writer, dims, y.dims)
    shape, rank = writer.ints(y.dims), str(len(y.dims))
    pointer = writer.vector(weight)
    writer.call("gatelet_combine", operation, x.name, a, pointer, b, shape, rank, y.name)


def _broadcast(values: Sequence[Value]) -> tuple[Size, ...]:
    rank = max(len(one.dims) for one in values)
    dims = []
    for axis in range(-rank, 0):
        sizes = [one.dims[axis] for one in values if len(one.dims) >= -axis]
        dims.append(next((size for size in sizes if size.number != 1), sizes[0]))
    return tuple(dims)


def _strides(writer: Writer, dims: Sequence[Size], shape: Sequence[Size]) -> str:
    """Return the strides of a value that is broadcast to a shape: 0 where it repeats."""
    strides = ["0"] * (len(shape) - len(dims))
    for axis, size in enumerate(dims):
        strides.append("0" if size.number == 1 else elements(dims[axis + 1 :]))
    name = writer.name("strides")
    writer.line(f"const size_t {name}[] = {{{', '.join(strides) or '0'}}};")
    return name


def write_concatenate(writer: Writer, call: Call) -> list[Value]:
    """Write a `Concatenate` node, of values or of masks."""
    writer.kernels.add("layers")
    inputs = call.inputs
    if len({one.kind for one in inputs}) > 1:
        inputs = [as_floats(writer, one) for one in inputs]
    axis = call.node.attributes["axis"] % len(inputs[0].dims)
    sizes = [one.dims[axis] for one in inputs]
    if all(size.number is not None for size in sizes):
        total = known(sum(size.number or 0 for size in sizes))
    else:
        total = writer.size(
            " + ".join(size.text for size in sizes), " + ".join(f"({s.most})" for s in sizes)
        )
    dims = inputs[0].dims
    y = writer.make((*dims[:axis], total, *dims[axis + 1 :]), inputs[0].kind)
    inner = f"{elements(dims[axis + 1 :])} * {_BYTES[y.kind]}"
    before = "0"
    for one, size in zip(inputs, sizes, strict=True):
        part = f"(size_t)({size.text}) * {inner}"
        whole, offset = f"(size_t)({total.text}) * {inner}", f"(size_t)({before}) * {inner}"
        writer.call(
            "gatelet_put_part", one.name, elements(dims[:axis]), part, y.name, whole, offset
        )
        before = f"{before} + {size.text}"
    return [y]


def write_repeat_vector(writer: Writer, call: Call) -> list[Value]:
    """Write a `RepeatVector` node."""
    writer.kernels.add("layers")
    x, n = call.x, call.node.attributes["n"]
    rows, *rest = x.dims
    y = writer.make((rows, known(n), *rest), x.kind)
    size = f"{elements(rest)} * {_BYTES[x.kind]}"
    writer.call("gatelet_repeat", x.name, rows.text, str(n), size, y.name)
    return [y]


def write_reshape(writer: Writer, call: Call) -> list[Value]:
    """Write a `Reshape` node: the same memory by another shape."""
    x, target = call.x, list(call.node.attributes["target_shape"])
    dims = [x.dims[0]]
    for size in target:
        dims.append(known(size) if size != -1 else _rest(writer, x.dims[1:], target))
    return [Value(x.name, x.kind, tuple(dims), x.slot, x.raw)]


def _rest(writer: Writer, dims: Sequence[Size], target: Sequence[int]) -> Size:
    others = int(np.prod([size for size in target if size != -1]))
    if all(size.number is not None for size in dims):
        return known(int(np.prod([size.number or 0 for size in dims])) // others)
    text = " * ".join(size.text for size in dims)
    most = " * ".join(f"({size.most})" for size in dims)
    return writer.size(f"{text} / {others}", f"({most}) / {others}")


def write_transpose(writer: Writer, call: Call) -> list[Value]:
    """Write a `Transpose` node."""
    writer.kernels.add("layers")
    x = as_floats(writer, call.x)
    perm = call.node.attributes["perm"]
    y = writer.make([x.dims[axis] for axis in perm])
    shape, order = writer.ints(x.dims), writer.ints(list(perm))
    writer.call("gatelet_transpose", x.name, shape, order, str(len(perm)), y.name)
    return [y]


def write_reverse(writer: Writer, call: Call) -> list[Value]:
    """Write a `Reverse` node: along time."""
    writer.kernels.add("layers")
    x = call.x
    y = writer.make(x.dims, x.kind)
    size = f"{elements(x.dims[2:])} * {_BYTES[x.kind]}"
    writer.call("gatelet_reverse", x.name, x.dims[0].text, x.dims[1].text, size, y.name)
    return [y]


def write_merge_time(writer: Writer, call: Call) -> list[Value]:
    """Write a `MergeTime` node: the same memory by another shape."""
    x = call.x
    rows, timesteps, *rest = x.dims
    merged = writer.size(f"{rows.text} * {timesteps.text}", f"({rows.most}) * ({timesteps.most})")
    return [Value(x.name, x.kind, (merged, *rest), x.slot, x.raw, x.exact_limit)]


def write_split_time(writer: Writer, call: Call) -> list[Value]:
    """Write a `SplitTime` node: the same memory by another shape."""
    x, like = call.inputs
    return [Value(x.name, x.kind, (*like.dims[:2], *x.dims[1:]), x.slot, x.raw, x.exact_limit)]
