"""The table of number formats: how each target stores a weight, and rounds what meets it.

Not the rounding itself (`roundings`), and not how a Graph is run with it (`oracle`). This is said
a second time here, beside the exporters, on purpose: none of their code is asked.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from gatelet.convert.layouts import padded_columns
from gatelet.convert.parity.computes import roundings
from gatelet.convert.parity.computes.roundings import Rounding
from gatelet.convert.schemes import Scheme
from gatelet.runtime.bundle.storage import SMALL_ELEMENTS
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import GATES, KEEPS_RANGE, MOVES, OPERATIONS

BOUNDED = ("hard_sigmoid", "hard_sigmoid_keras2", "sigmoid", "softsign", "sparse_sigmoid", "tanh")
"""Activations of states that onnxruntime's quantized LSTM may round to 8 bits."""

HOLDS_EXACTLY = (
    *("linear", "relu", "sigmoid", "tanh", "softmax", "log_softmax", "softplus", "softsign"),
    *("exponential", "silu", "relu6", "mish", "hard_tanh", "log_sigmoid", "tanh_shrink"),
    *("sparse_plus", "sparse_sigmoid", "glu", "sparsemax"),
)
"""Activations without a number that 16 bits would round: litert's converter rounds those too."""

CALL, IMAGE, ROW, SEQUENCE = "call", "image", "row", "sequence"


@dataclass(frozen=True)
class Form:
    """How a weight takes part in a product.

    Args:
        stored: Rounds the weight as the file does.
        taken: Rounds what is multiplied with it; None where that stays as it is.
        span: What shares a scale: a 'row' of the last axis, all of a 'call', of a convolution's
            input an 'image' or all timesteps of a row, of a recurrence's the whole 'sequence'.
    """

    stored: Rounding = roundings.as_stored
    taken: Rounding | None = None
    span: str = ROW


FLOAT = Form()


@dataclass(frozen=True)
class Use:
    """A weight, or those columns of it that are stored together, where a node uses it.

    Args:
        node: The node.
        role: Of the weight in it.
        shape: Of what is stored together.
        kernels: The elements of each kernel of the node.
        type: What the scheme stores such weights in.
        scheme: The scheme.
        fed: What is multiplied with it is as the user fed it.
        table_bits: Of the embedding whose rows are multiplied with it, as they are; 0 elsewhere.
    """

    node: Node
    role: str
    shape: tuple[int, ...]
    kernels: tuple[int, ...]
    type: str
    scheme: Scheme
    fed: bool = False
    table_bits: int = 0


def _is_large(use: Use) -> bool:
    return math.prod(use.shape) >= SMALL_ELEMENTS


def _is_large_when_packed(use: Use) -> bool:
    gates = 1 if use.node.op not in GATES else use.shape[-1] // _units(use)
    rows = math.prod(use.shape[:-1])
    return rows * padded_columns(use.shape[-1], gates) >= SMALL_ELEMENTS


def _units(use: Use) -> int:
    units = use.node.shapes[0][-1]
    assert units is not None, "a recurrence has units"
    return units


def _is_any_large(use: Use) -> bool:
    return max(use.kernels) >= SMALL_ELEMENTS


def _always(use: Use) -> bool:
    return True


def _is_computed(use: Use) -> bool:
    return not use.fed


def _is_quantized_lstm(use: Use) -> bool:
    is_bounded = use.node.attributes.get("activation") in BOUNDED
    return not use.fed and is_bounded and use.scheme.recurrent_type == use.scheme.weights


def _has_14_bits(use: Use) -> bool:
    # a window over several rows of an embedding has several scales
    return not use.fed and (use.table_bits == 0 or use.node.op in _CONVOLVED)


def _rows_of(*bits: int) -> Callable[[Use], bool]:
    return lambda use: not use.fed and use.table_bits in bits


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        targets: That have it; onnx-text is as onnx.
        type: In which the scheme stores such weights.
        roles: Of the weights; () for all.
        form: What they take part as.
        ops: That have such weights; () for all.
        fits: Whether a use can have this form at all.
        is_worth: Whether it is large enough: where the file can be read it says so itself.
        engines: The kernels that compute so: 'xnnpack', 'builtin'; () for all.
        batch: Whether the scheme is for a fixed number of rows; None where that does not matter.
    """

    targets: tuple[str, ...]
    type: str
    roles: tuple[str, ...]
    form: Form
    ops: tuple[str, ...] = ()
    fits: Callable[[Use], bool] = _always
    is_worth: Callable[[Use], bool] = _is_large
    engines: tuple[str, ...] = ()
    batch: bool | None = None

    def is_of(self, target: str, engine: str, use: Use) -> bool:
        """Return whether this line is about a use."""
        return (
            target in self.targets
            and self.type == use.type
            and (not self.roles or use.role in self.roles)
            and (not self.ops or use.node.op in self.ops)
            and (not self.engines or engine in self.engines)
            and self.batch in (None, use.scheme.batch is not None)
            and self.fits(use)
        )


_KERNELS = ("kernel", "recurrent_kernel")
_ONNX, _LITERT, _C = ("onnx",), ("litert",), ("c",)
_PRODUCTS = ("Dense", "LSTM", "GRU", "SimpleRNN")
_CONVOLVED = ("Conv1D", "Conv2D", "ConvLSTM2D")
_BY_COLUMN, _BY_TENSOR = roundings.int8_by_column, roundings.int8_by_tensor
_XNNPACK, _BUILTIN = roundings.int8_of_a_row_xnnpack, roundings.int8_of_a_row_builtin
_UINT8 = roundings.uint8_of_a_call
_BITS = {"int8": 8, "int4": 4, "int2": 2, "int1": 1}
_FEW_BITS = ("int4", "int2", "int1")
"""Types of embeddings beside which states are stored as lines, in 8 bits."""


def _litert_products(stored: Rounding, *, batch: bool) -> tuple[Row, ...]:
    """Return the lines of litert's products: both engines round each row of what is computed."""
    return tuple(
        Row(_LITERT, "int8", roles, Form(stored, taken), ops, fits, engines=engines, batch=batch)
        for roles, ops, fits, taken, engines in (
            (("kernel",), _PRODUCTS, _is_computed, _XNNPACK, ("xnnpack",)),
            (("kernel",), _PRODUCTS, _is_computed, _BUILTIN, ("builtin",)),
            (("recurrent_kernel",), _PRODUCTS, _always, _XNNPACK, ("xnnpack",)),
            (("recurrent_kernel",), _PRODUCTS, _always, _BUILTIN, ("builtin",)),
        )
    )


def _litert_convolutions() -> tuple[Row, ...]:
    """Return the lines of litert's convolutions: they round an image, or all timesteps, at once."""
    return tuple(
        Row(_LITERT, "int8", (role,), Form(_BY_COLUMN, taken, IMAGE), ops, fits, engines=engines)
        for role, ops, fits in (
            ("kernel", ("Conv1D",), _is_computed),
            ("kernel", ("Conv2D", "ConvLSTM2D"), _always),
            ("recurrent_kernel", ("ConvLSTM2D",), _always),
        )
        for taken, engines in ((_XNNPACK, ("xnnpack",)), (_BUILTIN, ("builtin",)))
    )


def _c_products(type: str, stored: Rounding) -> tuple[Row, ...]:
    """Return the lines of c's products: 14 bits a row, or what an embedding's rows have already."""
    eight, few, many = (
        Form(stored, taken)
        for taken in (
            roundings.int8_codes_of_a_row,
            roundings.level_codes_of_a_row,
            roundings.int14_of_a_row,
        )
    )
    kernel, recurrent = ("kernel",), ("recurrent_kernel",)
    large = _is_large_when_packed
    return (
        Row(_C, type, kernel, eight, _PRODUCTS, _rows_of(8), large),
        Row(_C, type, kernel, few, _PRODUCTS, _rows_of(1, 2, 4), large),
        Row(_C, type, kernel, many, fits=_has_14_bits, is_worth=large),
        Row(_C, type, recurrent, many, _PRODUCTS, is_worth=large),
    )


TABLE = (
    # onnx: the quantized operators round x to 8 bits, and want weights of 7
    Row(
        _ONNX,
        "int8",
        ("kernel",),
        Form(roundings.int7_by_column, _UINT8, SEQUENCE),
        ("LSTM",),
        _is_quantized_lstm,
        _is_any_large,
    ),
    Row(
        _ONNX,
        "int8",
        ("recurrent_kernel",),
        Form(roundings.int7_by_column, _UINT8, CALL),
        ("LSTM",),
        _is_quantized_lstm,
        _is_any_large,
    ),
    Row(
        _ONNX,
        "int8",
        ("kernel",),
        Form(roundings.int7_by_column, _UINT8, CALL),
        ("Dense",),
        _is_computed,
    ),
    # all others it multiplies in float
    Row(_ONNX, "int8", _KERNELS, Form(_BY_COLUMN)),
    Row(_ONNX, "int8", ("embeddings",), Form(roundings.int8_by_row)),
    Row(_ONNX, "int8", ("table",), Form(roundings.float16), is_worth=_always),
    Row(_ONNX, "float16", (*_KERNELS, "embeddings", "table"), Form(roundings.float16)),
    # litert
    *_litert_products(_BY_COLUMN, batch=False),
    *_litert_products(_BY_TENSOR, batch=True),
    *_litert_convolutions(),
    Row(_LITERT, "int8", ("kernel",), Form(_BY_COLUMN), (*_PRODUCTS, "Conv1D")),
    Row(_LITERT, "int8", ("embeddings",), Form(roundings.int8_by_row), is_worth=_always),
    Row(_LITERT, "int8", ("table",), Form(roundings.int16_by_unit), is_worth=_always),
    Row(_LITERT, "float16", (), Form(roundings.float16), is_worth=_always),
    # c
    *_c_products("int8", _BY_COLUMN),
    *_c_products("int4", roundings.int4_by_column),
    # what is fed, and the states of a ConvLSTM2D, meet kernels of 8 bits in float
    Row(_C, "int8", _KERNELS, Form(_BY_COLUMN), is_worth=_is_large_when_packed),
    Row(_C, "int4", _KERNELS, Form(_BY_COLUMN), is_worth=_is_large_when_packed),
    Row(
        _C,
        "int16",
        ("recurrent_kernel",),
        Form(roundings.int16_by_column, roundings.int14_of_a_row),
        (*_PRODUCTS, "ConvLSTM2D"),
        is_worth=_is_large_when_packed,
    ),
    Row(_C, "int8", ("embeddings",), Form(roundings.int8_by_code)),
    *(Row(_C, t, ("table",), Form(roundings.lines), is_worth=_always) for t in _FEW_BITS),
    # tables of 4 bits are the same everywhere, but that c keeps small ones
    Row(_C, "int4", ("embeddings",), Form(roundings.int4_by_row)),
    Row(_C, "int2", ("embeddings",), Form(roundings.int2_by_row)),
    Row(_C, "int1", ("embeddings",), Form(roundings.int1_by_row)),
    Row((*_ONNX, *_LITERT), "int4", ("embeddings",), Form(roundings.int4_by_row), is_worth=_always),
)
"""The first line that is about a use is the rule; a later one holds where the file stores so."""


def forms_of(target: str, engine: str, use: Use) -> tuple[Form, ...]:
    """Return the forms that a use may have, that of the rule first."""
    rows = [row for row in TABLE if row.is_of(target, engine, use)]
    worth = [row.form for row in rows if row.is_worth(use)]
    return (*worth, FLOAT, *(row.form for row in rows if not row.is_worth(use)))


@dataclass(frozen=True)
class Facts:
    """What is known of a Graph's values before it runs.

    Args:
        fed: Those that hold numbers as the user fed them, elsewhere or rearranged: such numbers
            are never rounded, since one column may be a thousand times another.
        exact: Those that a file makes to the bit: inputs, and rows of embeddings.
        table_bits: Of values that are rows of an embedding, the bits of its numbers.
    """

    fed: frozenset[str]
    exact: frozenset[str]
    table_bits: Mapping[str, int] = field(default_factory=dict)


_KEEPING = frozenset(one.name for one in OPERATIONS.values() if one.gives in (MOVES, KEEPS_RANGE))
_AFFINE_TOO = {"litert": _KEEPING | {"Affine"}}


def facts_of(graph: Graph, target: str, scheme: Scheme) -> Facts:
    """Return what is known of a Graph's values."""
    fed = {one.name for one in graph.inputs if one.dtype == "float32"}
    exact = {one.name for one in graph.inputs}
    keeping = _AFFINE_TOO.get(target, _KEEPING)
    bits: dict[str, int] = {}
    for node in graph.nodes:
        taken = node.inputs[:1] if node.op == "SplitTime" and target == "litert" else node.inputs
        if node.op in keeping and not fed.isdisjoint(taken):
            fed.update(node.outputs)
        if OPERATIONS[node.op].gives == MOVES and node.inputs[0] in exact:
            exact.update(node.outputs)
        if node.op in ("MergeTime", "SplitTime") and node.inputs[0] in bits:
            bits[node.output] = bits[node.inputs[0]]
        if node.op == "Embedding":
            exact.add(node.output)
            shape = graph.weights[node.weights["embeddings"]].shape
            kept = _BITS.get(scheme.embedding_type, 0)
            bits[node.output] = kept if math.prod(shape) >= SMALL_ELEMENTS else 0
    return Facts(frozenset(fed), frozenset(exact), bits)


def type_of(scheme: Scheme, target: str, role: str) -> str:
    """Return the type in which a scheme stores weights of a role."""
    types = {"embeddings": scheme.embedding_type, "recurrent_kernel": scheme.recurrent_type}
    if role == "table" and scheme.embedding_type in _FEW_BITS and target == "c":
        return scheme.embedding_type
    return types.get(role, scheme.weights)


def uses_of(graph: Graph, node: Node, target: str, scheme: Scheme, facts: Facts) -> dict[str, Use]:
    """Return how a node uses each of its weights, by role."""
    shapes = {role: tuple(graph.weights[name].shape) for role, name in node.weights.items()}
    kernels = tuple(math.prod(shapes[role]) for role in _KERNELS if role in shapes)
    found = {}
    for role, shape in shapes.items():
        meets_x = role == "kernel"
        found[role] = Use(
            node=node,
            role=role,
            shape=shape,
            kernels=kernels,
            type=type_of(scheme, target, role),
            scheme=scheme,
            fed=meets_x and node.inputs[0] in facts.fed,
            table_bits=facts.table_bits.get(node.inputs[0], 0) if meets_x else 0,
        )
    return found


def parts_of(use: Use) -> Sequence[tuple[slice, Use]]:
    """Return the columns of a weight that are stored together: all, but of some kernels."""
    columns = use.shape[-1] if use.shape else 1
    attributes, cuts = use.node.attributes, [0, columns]
    if use.node.op == "GRU" and use.role == "recurrent_kernel" and not attributes["reset_after"]:
        cuts = [0, columns // 3 * 2, columns]
    elif use.role == "kernel" and attributes.get("groups", 1) > 1:
        width = columns // int(attributes["groups"])
        cuts = list(range(0, columns + 1, width))
    return [
        (slice(first, end), replace(use, shape=(*use.shape[:-1], end - first)))
        for first, end in pairwise(cuts)
    ]


def rounded_numbers(graph: Graph, target: str, scheme: Scheme) -> str:
    """Name an activation whose own numbers a file rounds as it does weights; '' where none does."""
    if target != "litert" or scheme.weights != "float16":
        return ""
    for node in graph.nodes:
        for key in ("activation", "recurrent_activation"):
            name = node.attributes.get(key, "linear")
            if name not in HOLDS_EXACTLY or node.attributes.get(f"{key}_parameters"):
                return str(name)
    return ""
