"""The one table of operations: what each node of a Graph may be, and what all code may know of it.

Not the equations, which are in the reference backend, and not which exporter has which operation:
beside its own functions each exporter says why it lacks others. What predicts does not load this.
See docs/graph.md, which a test compares with this table.
"""

from gatelet.runtime.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.graph.graph import Node

RECURRENT, EACH_STEP, BY_AXES = "recurrent", "each step", "by axes"
WINDOW, WHOLE = "window", "whole"
FLOATS, IDS, MASKS, ANY = "floats", "ids", "masks", "any"
MOVES, KEEPS_RANGE, MASK, COMPUTES = "moves", "keeps range", "mask", "computes"
_MANY = 10**6


@dataclass(frozen=True)
class Operation:
    """What is known of an operation.

    Args:
        name: As in a node's `op`.
        time: How it looks at timesteps. RECURRENT carries states from one to the next. EACH_STEP
            makes each from the same timestep of its inputs. BY_AXES does too, unless one of the
            axes that it works along, or moves, is that of time. WINDOW reads some neighbours at
            once, WHOLE reads or makes all of them.
        inputs: The fewest and the most values that it takes.
        weights: The roles of its weights.
        optional: The roles of weights that may be absent.
        states: What it carries: its second and further inputs and outputs, where it has them.
        gates: In the order in which they lie along the last axis of its kernels.
        takes: The kind of its first input: FLOATS, IDS, MASKS, or ANY of them.
        gives: What it makes. MOVES: the numbers of its first input, elsewhere or again.
            KEEPS_RANGE: numbers chosen among its inputs', or between them, or zero. MASK: a mask.
            COMPUTES: anything else.
        masked: Its node may have a `mask`.
        pointwise: Along the last axis at most: over [B, T, F] it does the same to each timestep.
        broadcasts: Its inputs may have an axis of size 1 where others have more.
        window_axes: The number of axes that its kernel or window slides over.
    """

    name: str
    time: str
    inputs: tuple[int, int] = (1, 1)
    weights: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    takes: str = FLOATS
    gives: str = COMPUTES
    masked: bool = False
    pointwise: bool = False
    broadcasts: bool = False
    window_axes: int = 0


def _recurrent(name: str, states: str, gates: str, *, window_axes: int = 0) -> Operation:
    return Operation(
        name,
        RECURRENT,
        inputs=(1, 1 + len(states)),
        weights=("kernel", "recurrent_kernel"),
        optional=("bias",),
        states=tuple(states),
        gates=tuple(gates),
        masked=True,
        window_axes=window_axes,
    )


def _convolution(name: str, window_axes: int) -> Operation:
    return Operation(name, WINDOW, weights=("kernel",), optional=("bias",), window_axes=window_axes)


def _pooling(name: str, window_axes: int) -> Operation:
    return Operation(name, WINDOW, gives=KEEPS_RANGE, window_axes=window_axes)


def _fold(name: str) -> Operation:
    return Operation(name, EACH_STEP, inputs=(2, _MANY), pointwise=True, broadcasts=True)


_TABLE = (
    _recurrent("LSTM", "hc", "ifgo"),
    _recurrent("GRU", "h", "zrh"),
    _recurrent("SimpleRNN", "h", "h"),
    _recurrent("ConvLSTM2D", "hc", "ifgo", window_axes=2),
    Operation("Embedding", EACH_STEP, weights=("embeddings",), takes=IDS),
    Operation("Dense", BY_AXES, weights=("kernel",), optional=("bias",), pointwise=True),
    Operation("Activation", BY_AXES, pointwise=True),
    Operation("PReLU", BY_AXES, weights=("alpha",), pointwise=True),
    Operation("Affine", BY_AXES, weights=("scale", "shift"), pointwise=True),
    Operation("LayerNormalization", BY_AXES, optional=("gamma", "beta"), pointwise=True),
    _convolution("Conv1D", 1),
    _convolution("Conv2D", 2),
    _pooling("MaxPooling1D", 1),
    _pooling("MaxPooling2D", 2),
    _pooling("AveragePooling1D", 1),
    _pooling("AveragePooling2D", 2),
    Operation("GlobalAveragePooling1D", WHOLE, gives=KEEPS_RANGE, masked=True),
    Operation("ReduceMax", BY_AXES, gives=KEEPS_RANGE),
    Operation("ReduceMean", BY_AXES, gives=KEEPS_RANGE),
    Operation(
        "Concatenate", BY_AXES, inputs=(1, _MANY), takes=ANY, gives=KEEPS_RANGE, pointwise=True
    ),
    _fold("Add"),
    _fold("Multiply"),
    _fold("Average"),
    _fold("Subtract"),
    _fold("Maximum"),
    _fold("Minimum"),
    Operation("RepeatVector", WHOLE, takes=ANY, gives=MOVES),
    Operation("Reshape", BY_AXES, takes=ANY, gives=MOVES),
    Operation("Transpose", BY_AXES, takes=ANY, gives=MOVES),
    Operation("Reverse", WHOLE, takes=ANY, gives=MOVES),
    Operation("MergeTime", EACH_STEP, takes=ANY, gives=MOVES),
    Operation("SplitTime", EACH_STEP, inputs=(2, 2), takes=ANY, gives=MOVES),
    Operation("MaskIds", EACH_STEP, takes=IDS, gives=MASK),
    Operation("MaskFeatures", EACH_STEP, gives=MASK),
    Operation("MaskAll", EACH_STEP, takes=ANY, gives=MASK),
    Operation("ApplyMask", EACH_STEP, gives=KEEPS_RANGE, masked=True, pointwise=True),
    Operation("Select", EACH_STEP, inputs=(2, 2), gives=KEEPS_RANGE, masked=True),
    Operation("MaskAnd", EACH_STEP, inputs=(2, _MANY), takes=MASKS, gives=MASK),
    Operation("MaskOr", EACH_STEP, inputs=(2, _MANY), takes=MASKS, gives=MASK),
    Operation("TrimPadding", WHOLE, takes=IDS),
    Operation("PadState", WHOLE, inputs=(2, 2), weights=("table",), takes=IDS),
)

OPERATIONS = {one.name: one for one in _TABLE}
"""By name, in the order of docs/graph.md."""

RECURRENCES = frozenset(one.name for one in _TABLE if one.time == RECURRENT)
VECTOR_RECURRENCES = frozenset(name for name in RECURRENCES if not OPERATIONS[name].window_axes)
"""Those whose states are vectors [B, U]: all but ConvLSTM2D."""

POINTWISE = frozenset(one.name for one in _TABLE if one.pointwise)
WINDOWED = frozenset(one.name for one in _TABLE if one.window_axes)
OVER_IMAGES = frozenset(name for name in WINDOWED if OPERATIONS[name].window_axes == 2)
CONVOLUTIONS = frozenset(name for name in WINDOWED if "kernel" in OPERATIONS[name].weights)
GATES = {name: len(OPERATIONS[name].gates) for name in VECTOR_RECURRENCES}
"""How many gates lie side by side in the matrices of a recurrence."""

MASK_MAKERS = frozenset(one.name for one in _TABLE if one.gives == MASK)


def check_node(node: "Node") -> None:
    """Refuse a node that is not as the table says: a mistake of the code that made it.

    Raises:
        ValueError: Its operation, the number of its inputs, a weight's role or its mask is none.
    """
    known = OPERATIONS.get(node.op)
    if known is None:
        raise ValueError(f"node '{node.name}': there is no operation '{node.op}'")
    least, most = known.inputs
    if not least <= len(node.inputs) <= most:
        raise ValueError(f"node '{node.name}' ({node.op}) takes {len(node.inputs)} inputs")
    roles = set(node.weights)
    if not roles.issuperset(known.weights) or roles.difference(known.weights, known.optional):
        raise ValueError(f"node '{node.name}' ({node.op}) has the weights {sorted(roles)}")
    if node.mask is not None and not known.masked:
        raise ValueError(f"node '{node.name}' ({node.op}) has a mask")
