"""Random architectures as data: drawn by Hypothesis, built with Keras.

Not the check: see test_random_models.py. A recipe is nested tuples of names and numbers, so that
a counterexample is printed whole and can be shrunk.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

__all__ = ["Recipe", "build", "recipes"]

Keras = Any
Recipe = tuple[Any, ...]

V = 30

UNITS = st.integers(1, 6)
# an unbounded activation in a recurrence of random weights grows without end: it would test
# the range of float32 and not the exporters
STATE_ACTIVATIONS = st.sampled_from(
    ["tanh", "tanh", "tanh", "sigmoid", "softsign", "hard_sigmoid", "hard_tanh"]
)
GATE_ACTIVATIONS = st.sampled_from(["sigmoid", "sigmoid", "hard_sigmoid"])
ACTIVATIONS = st.sampled_from(
    [
        "linear",
        "relu",
        "tanh",
        "sigmoid",
        "elu",
        "selu",
        "silu",
        "gelu",
        "softplus",
        "softmax",
        "softsign",
        "hard_sigmoid",
        "hard_silu",
        "leaky_relu",
        "relu6",
        "mish",
        "celu",
        "hard_tanh",
        "log_sigmoid",
        "log_softmax",
        "exponential",
    ]
)
CELLS = st.sampled_from(["LSTM", "LSTM", "GRU", "GRU before", "SimpleRNN"])
CELL = st.tuples(CELLS, UNITS, STATE_ACTIVATIONS, GATE_ACTIVATIONS, st.booleans())
MERGES = st.sampled_from(["concat", "sum", "mul", "ave"])
NOTHINGS = st.sampled_from(["Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout"])

SEQUENCE_BLOCKS = st.one_of(
    st.tuples(st.just("rnn"), CELL, st.booleans(), st.booleans()),
    st.tuples(st.just("bidirectional"), CELL, MERGES),
    st.tuples(st.just("nested bidirectional"), CELL, MERGES),
    st.tuples(st.just("two-way apart"), CELL, CELL, st.booleans()),
    st.tuples(st.just("unrolled"), CELL),
    st.tuples(st.just("dense"), UNITS, ACTIVATIONS),
    st.tuples(st.just("time distributed"), UNITS, ACTIVATIONS),
    st.tuples(st.just("time distributed model"), UNITS, ACTIVATIONS),
    st.tuples(st.just("time distributed rnn"), CELL, MERGES),
    st.tuples(st.just("time distributed twice"), UNITS, ACTIVATIONS),
    st.tuples(
        st.just("conv"),
        UNITS,
        st.integers(1, 4),
        st.sampled_from(["same", "valid", "causal"]),
        st.integers(1, 2),
        st.integers(1, 2),
    ),
    st.tuples(
        st.just("pool"),
        st.sampled_from(["max", "average"]),
        st.integers(1, 3),
        st.integers(1, 2),
        st.sampled_from(["same", "valid"]),
    ),
    st.tuples(st.sampled_from(["batch norm", "layer norm", "permute", "masking", "reshape"])),
    st.tuples(st.just("nothing"), NOTHINGS),
    st.tuples(st.just("activation"), ACTIVATIONS),
    st.tuples(
        st.just("branch"),
        st.sampled_from(["Concatenate", "Add", "Multiply", "Average", "Maximum"]),
        CELL,
        st.booleans(),
        UNITS,
        ACTIVATIONS,
    ),
    st.tuples(st.just("states"), CELL),
    st.tuples(st.just("branch of branches"), CELL, CELL, UNITS),
)

ENDS = st.one_of(
    st.tuples(st.just("rnn"), CELL, st.booleans()),
    st.tuples(st.just("bidirectional"), CELL, MERGES),
    st.tuples(st.just("two-way apart"), CELL, CELL, st.booleans()),
    st.tuples(st.just("last states"), CELL),
    st.tuples(st.sampled_from(["average", "max", "flatten", "sequence"])),
    st.tuples(st.just("repeat"), CELL, CELL),
)


def recipes() -> st.SearchStrategy[Recipe]:
    """Draw (input, blocks, end, head)."""
    # more than ten timesteps, so that a cell that only adds can leave [-10, 10]
    lengths = st.one_of(st.integers(2, 9), st.integers(2, 9), st.integers(13, 18))
    inputs = st.one_of(
        st.tuples(st.just("ids"), lengths, UNITS, st.booleans()),
        st.tuples(st.just("features"), lengths, UNITS, st.booleans()),
        st.tuples(st.just("images"), st.integers(2, 3), st.booleans(), st.booleans()),
        st.tuples(
            st.just("conv lstm"),
            st.integers(2, 3),
            st.integers(1, 2),
            st.sampled_from(["same", "valid"]),
            st.booleans(),
        ),
        st.tuples(st.just("picture"), st.integers(1, 3), st.sampled_from(["same", "valid"])),
        st.tuples(st.just("two inputs"), lengths, CELL, st.booleans()),
    )
    heads = st.tuples(
        st.integers(1, 4), st.sampled_from(["linear", "sigmoid", "softmax", "tanh"]), st.booleans()
    )
    return st.tuples(inputs, st.lists(SEQUENCE_BLOCKS, max_size=3).map(tuple), ENDS, heads)


def build(keras: Keras, recipe: Recipe) -> Any:
    """Build a recipe.

    Raises:
        ValueError: Keras refuses the combination.
    """
    taken, blocks, end, (units, activation, twice) = recipe
    x, y = _INPUTS[taken[0]](keras, *taken[1:])
    for kind, *settings in blocks:
        y = _BLOCKS[kind](keras, y, *settings)
    y = _ENDS[end[0]](keras, y, *end[1:])
    out = keras.layers.Dense(units, activation=activation)(y)
    return keras.Model(x, [out, keras.layers.Dense(2)(y)] if twice else out)


def _ids(k: Keras, timesteps: int, units: int, mask: bool) -> tuple[Any, Any]:
    x = k.Input((timesteps,), dtype="int32")
    return x, k.layers.Embedding(V, units, mask_zero=mask)(x)


def _features(k: Keras, timesteps: int, units: int, mask: bool) -> tuple[Any, Any]:
    x = k.Input((timesteps, units))
    return x, k.layers.Masking(0.0)(x) if mask else x


def _images(k: Keras, timesteps: int, in_time: bool, pooled: bool) -> tuple[Any, Any]:
    x = k.Input((timesteps, 6, 5, 2))
    if in_time:
        y = k.layers.ConvLSTM2D(2, 3, padding="same", return_sequences=True)(x)
    else:
        y = k.layers.TimeDistributed(k.layers.Conv2D(2, 3, activation="relu"))(x)
    if pooled:
        y = k.layers.TimeDistributed(k.layers.MaxPooling2D(2))(y)
    return x, k.layers.TimeDistributed(k.layers.Flatten())(y)


def _conv_lstm(
    k: Keras, timesteps: int, strides: int, padding: str, backwards: bool
) -> tuple[Any, Any]:
    x = k.Input((timesteps, 6, 5, 2))
    settings = {"strides": strides, "padding": padding, "go_backwards": backwards}
    y = k.layers.ConvLSTM2D(2, (3, 2), return_sequences=True, **settings)(x)
    return x, k.layers.TimeDistributed(k.layers.GlobalAveragePooling2D())(y)


def _picture(k: Keras, filters: int, padding: str) -> tuple[Any, Any]:
    x = k.Input((8, 6, 1))
    y = k.layers.Conv2D(filters, (3, 2), padding=padding, activation="relu")(x)
    y = k.layers.MaxPooling2D(2)(y)
    return x, k.layers.Reshape((y.shape[1], y.shape[2] * filters))(y)


def _two_inputs(k: Keras, timesteps: int, cell: Recipe, mask: bool) -> tuple[Any, Any]:
    source, target = k.Input((timesteps,), dtype="int32"), k.Input((timesteps, 3))
    embedded = k.layers.Embedding(V, 4, mask_zero=mask)(source)
    _, *states = _cell(k, cell, return_state=True)(embedded)
    return [source, target], _cell(k, cell, return_sequences=True)(target, initial_state=states)


def _cell(k: Keras, cell: Recipe, **settings: Any) -> Any:
    kind, units, activation, gate, bias = cell
    common = {"activation": activation, "use_bias": bias, **settings}
    if kind == "LSTM":
        return k.layers.LSTM(units, recurrent_activation=gate, **common)
    if kind == "SimpleRNN":
        return k.layers.SimpleRNN(units, **common)
    return k.layers.GRU(units, recurrent_activation=gate, reset_after=kind == "GRU", **common)


def _rnn(k: Keras, y: Any, cell: Recipe, backwards: bool, zeros: bool) -> Any:
    settings = {"return_sequences": True, "go_backwards": backwards, "zero_output_for_mask": zeros}
    return _cell(k, cell, **settings)(y)


def _bidirectional(k: Keras, y: Any, cell: Recipe, merge: str) -> Any:
    return k.layers.Bidirectional(_cell(k, cell, return_sequences=True), merge_mode=merge)(y)


def _nested_bidirectional(k: Keras, y: Any, cell: Recipe, merge: str) -> Any:
    rnn = k.layers.Bidirectional(_cell(k, cell, return_sequences=True), merge_mode=merge)
    return k.Sequential([k.Input(y.shape[1:]), rnn, k.layers.Dense(3)])(y)


def _two_way_apart(k: Keras, y: Any, first: Recipe, second: Recipe, sequences: bool) -> Any:
    forward = _cell(k, first, return_sequences=sequences)
    # Keras takes both to be as wide as the first
    second = (second[0], first[1], *second[2:])
    backward = _cell(k, second, return_sequences=sequences, go_backwards=True)
    rnn = k.layers.Bidirectional(forward, backward_layer=backward, merge_mode=None)
    return k.layers.Concatenate()(rnn(y))


def _unrolled(k: Keras, y: Any, cell: Recipe) -> Any:
    settings = {"unroll": True, "dropout": 0.2, "recurrent_dropout": 0.1}
    return _cell(k, cell, return_sequences=True, **settings)(y)


def _last_states(k: Keras, y: Any, cell: Recipe) -> Any:
    return k.layers.Concatenate()(_cell(k, cell, return_state=True)(y))


def _branch_of_branches(k: Keras, y: Any, first: Recipe, second: Recipe, units: int) -> Any:
    left = _cell(k, first, return_sequences=True)(y)
    right = k.layers.Bidirectional(_cell(k, second, return_sequences=True))(left)
    gate = k.layers.Dense(left.shape[-1], activation="sigmoid")(right)
    left = k.layers.Multiply()([left, gate])
    return k.layers.Concatenate()([left, right, k.layers.Dense(units)(y)])


def _time_distributed_rnn(k: Keras, y: Any, cell: Recipe, merge: str) -> Any:
    y = k.layers.TimeDistributed(k.layers.RepeatVector(2))(y)
    return k.layers.TimeDistributed(k.layers.Bidirectional(_cell(k, cell), merge_mode=merge))(y)


def _time_distributed_twice(k: Keras, y: Any, units: int, activation: str) -> Any:
    y = k.layers.TimeDistributed(k.layers.Reshape((y.shape[-1], 1)))(y)
    dense = k.layers.Dense(units, activation=activation)
    y = k.layers.TimeDistributed(k.layers.TimeDistributed(dense))(y)
    return k.layers.TimeDistributed(k.layers.Flatten())(y)


def _reshape(k: Keras, y: Any) -> Any:
    return k.layers.Reshape((-1, 1))(y) if y.shape[1] * y.shape[2] <= 18 else y


def _time_distributed_model(k: Keras, y: Any, units: int, activation: str) -> Any:
    layers = [k.layers.Dense(units, activation=activation), k.layers.LayerNormalization()]
    return k.layers.TimeDistributed(k.Sequential([k.Input(y.shape[2:]), *layers]))(y)


def _conv(
    k: Keras, y: Any, units: int, size: int, padding: str, strides: int, dilation: int
) -> Any:
    settings = {"strides": strides, "dilation_rate": dilation if strides == 1 else 1}
    return k.layers.Conv1D(units, size, padding=padding, **settings)(y)


def _pool(k: Keras, y: Any, kind: str, size: int, strides: int, padding: str) -> Any:
    layer = k.layers.MaxPooling1D if kind == "max" else k.layers.AveragePooling1D
    return layer(size, strides=strides, padding=padding)(y)


def _branch(
    k: Keras, y: Any, merge: str, cell: Recipe, backwards: bool, units: int, activation: str
) -> Any:
    kind, own_units, *rest = cell
    width = own_units if merge == "Concatenate" else units
    rnn = _cell(k, (kind, width, *rest), return_sequences=True, go_backwards=backwards)
    dense = k.layers.Dense(units, activation=activation)
    return getattr(k.layers, merge)()([rnn(y), dense(y)])


def _states(k: Keras, y: Any, cell: Recipe) -> Any:
    _, *states = _cell(k, cell, return_state=True)(y)
    return _cell(k, cell, return_sequences=True)(y, initial_state=states)


def _repeat(k: Keras, y: Any, first: Recipe, second: Recipe) -> Any:
    return _cell(k, second)(k.layers.RepeatVector(3)(_cell(k, first)(y)))


_INPUTS: dict[str, Callable[..., Any]] = {
    "ids": _ids,
    "features": _features,
    "images": _images,
    "conv lstm": _conv_lstm,
    "picture": _picture,
    "two inputs": _two_inputs,
}

_BLOCKS: dict[str, Callable[..., Any]] = {
    "rnn": _rnn,
    "bidirectional": _bidirectional,
    "nested bidirectional": _nested_bidirectional,
    "two-way apart": lambda k, y, first, second, _: _two_way_apart(k, y, first, second, True),
    "unrolled": _unrolled,
    "dense": lambda k, y, units, name: k.layers.Dense(units, activation=name)(y),
    "time distributed": lambda k, y, units, name: k.layers.TimeDistributed(
        k.layers.Dense(units, activation=name)
    )(y),
    "time distributed model": _time_distributed_model,
    "time distributed rnn": _time_distributed_rnn,
    "time distributed twice": _time_distributed_twice,
    "conv": _conv,
    "pool": _pool,
    "batch norm": lambda k, y: k.layers.BatchNormalization()(y),
    "layer norm": lambda k, y: k.layers.LayerNormalization()(y),
    "nothing": lambda k, y, name: getattr(k.layers, name)(0.3)(y),
    "permute": lambda k, y: k.layers.Permute((2, 1))(y),
    "masking": lambda k, y: k.layers.Masking(0.0)(y),
    "reshape": _reshape,
    "activation": lambda k, y, name: k.layers.Activation(name)(y),
    "branch": _branch,
    "states": _states,
    "branch of branches": _branch_of_branches,
}

_ENDS: dict[str, Callable[..., Any]] = {
    "rnn": lambda k, y, cell, backwards: _cell(k, cell, go_backwards=backwards)(y),
    "bidirectional": lambda k, y, cell, merge: k.layers.Bidirectional(
        _cell(k, cell), merge_mode=merge
    )(y),
    "two-way apart": _two_way_apart,
    "last states": _last_states,
    "average": lambda k, y: k.layers.GlobalAveragePooling1D()(y),
    "max": lambda k, y: k.layers.GlobalMaxPooling1D()(y),
    "flatten": lambda k, y: k.layers.Flatten()(y),
    "sequence": lambda k, y: y,
    "repeat": _repeat,
}
