"""What versions of Keras mean differently: against tf_keras, or computed by hand for older ones."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.lowering import lower
from gatelet.convert.lowering.builder import GraphBuilder
from gatelet.convert.reading.source import SourceCall, SourceInput, SourceLayer, SourceModel
from gatelet.runtime.backends.reference import activate, array_of, run_graph
from gatelet.runtime.graph.graph import Graph, Node
from tests.late import tf_keras
from tests.late import tf_layers as layers

RNG = np.random.default_rng(0)
SourceOf = Callable[..., SourceModel]


@pytest.fixture(autouse=True)
def numbers_of_its_own() -> None:
    """Let each test draw the same numbers, whichever tests run before it."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def of_ids(layer: Callable[[Any], Any], *, mask_zero: bool = True) -> Any:
    x = tf_keras.Input((None,), dtype="int32")
    return tf_keras.Model(x, layer(layers.Embedding(10, 3, mask_zero=mask_zero)(x)))


def weights(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(RNG.normal(size=shape).astype(np.float32) for shape in shapes)


def node_of(graph: Graph, op: str) -> Node:
    return next(node for node in graph.nodes if node.op == op)


def test_hard_sigmoid_of_keras_2(check: Any, ids: Any) -> None:
    graph = check(of_ids(layers.LSTM(4, recurrent_activation="hard_sigmoid")), ids)
    assert node_of(graph, "LSTM").attributes["recurrent_activation"] == "hard_sigmoid_keras2"
    assert activate("hard_sigmoid_keras2", np.ones(1, np.float32))[0] == pytest.approx(0.7)
    assert activate("hard_sigmoid", np.ones(1, np.float32))[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("version", ["1.2.2", "2.0.9", "2.2.4", "2.2.4-tf", "2.15.0"])
def test_hard_sigmoid_is_told_apart_by_version(source_of: SourceOf, version: str) -> None:
    layer = SourceLayer("a", "Activation", {"activation": "hard_sigmoid"})
    graph = lower(source_of(layer, (None, 4), keras_version=version))
    assert graph.nodes[0].attributes == {"activation": "hard_sigmoid_keras2"}
    graph = lower(source_of(layer, (None, 4), keras_version="3.0.5"))
    assert graph.nodes[0].attributes == {"activation": "hard_sigmoid"}


def test_a_gru_without_the_setting_resets_before(source_of: SourceOf) -> None:
    layer = SourceLayer("g", "GRU", {"units": 2}, weights((3, 6), (2, 6), (6,)))
    node = lower(source_of(layer, (None, None, 3))).nodes[0]
    assert node.attributes["reset_after"] is False
    assert node.attributes["recurrent_activation"] == "hard_sigmoid_keras2"
    layer = SourceLayer("g", "GRU", {"units": 2}, weights((3, 6), (2, 6), (2, 6)))
    node = lower(source_of(layer, (None, None, 3), keras_version="3.1.0")).nodes[0]
    assert node.attributes["reset_after"] is True
    assert node.attributes["recurrent_activation"] == "sigmoid"


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_recurrent_layers_of_tf_keras(
    check: Any, ids: Any, sequences: bool, reset_after: bool
) -> None:
    def stack(x: Any) -> Any:
        y = layers.GRU(4, reset_after=reset_after, return_sequences=True)(x)
        both = layers.Bidirectional(layers.LSTM(3, return_sequences=sequences))(y)
        return [both, layers.SimpleRNN(3, go_backwards=True, return_sequences=sequences)(y)]

    check(of_ids(stack), ids)


def test_tf_keras_passes_the_mask_to_a_layer_with_initial_state(check: Any, ids: Any) -> None:
    x, h = tf_keras.Input((None,), dtype="int32"), tf_keras.Input((4,))
    embedded = layers.Embedding(10, 3, mask_zero=True)(x)
    y = layers.GRU(4, return_sequences=True)(embedded, initial_state=h)
    graph = check(tf_keras.Model([x, h], y), ids, np.ones((7, 4), np.float32))
    assert node_of(graph, "GRU").mask is not None


def test_keras_before_tensorflow_outputs_the_initial_state_at_masked_steps() -> None:
    layer = SourceLayer(
        "r", "SimpleRNN", {"units": 2, "return_sequences": True}, weights((3, 2), (2, 2), (2,))
    )
    masking = SourceLayer("m", "Masking", {"mask_value": 0.0})
    model = SourceModel(
        "2.2.4",
        {"r": layer, "m": masking},
        (SourceInput("x", (None, None, 3)), SourceInput("h", (None, 2))),
        (SourceCall("m", ("x",), ("y",)), SourceCall("r", ("y", "h"), ("z",), states=1)),
        ("z",),
    )
    x = np.zeros((1, 3, 3), np.float32)
    x[0, 1] = 1
    h = np.array([[0.25, -0.5]], np.float32)
    graph = lower(model)
    y = run_graph(graph, {"features": x, "features_1": h})[graph.outputs[0]]
    np.testing.assert_array_equal(y[:, 0], h)
    np.testing.assert_array_equal(y[:, 2], y[:, 1])


@pytest.mark.parametrize("masks", [(1, 0), (0, 1), (1, 1), (0, 0)])
@pytest.mark.parametrize("merge", ["Add", "Multiply", "Maximum", "Average", "Concatenate"])
def test_merges_of_tf_keras_join_masks_by_and(
    check: Any, ids: Any, merge: str, masks: tuple[int, ...]
) -> None:
    inputs = [tf_keras.Input((None,), dtype="int32") for _ in masks]
    embedded = [
        layers.Embedding(10, 3, mask_zero=bool(mask))(x)
        for x, mask in zip(inputs, masks, strict=True)
    ]
    joined = getattr(layers, merge)()(embedded)
    check(tf_keras.Model(inputs, [joined, layers.LSTM(3)(joined)]), ids, ids[::-1])


def test_concatenated_masks_of_tf_keras(check: Any, ids: Any) -> None:
    inputs = [tf_keras.Input((None,), dtype="int32") for _ in range(2)]
    embedded = [layers.Embedding(10, 3, mask_zero=True)(x) for x in inputs]
    joined = layers.Concatenate(axis=1)(embedded)
    check(tf_keras.Model(inputs, layers.LSTM(3)(joined)), ids, ids[::-1])


@pytest.mark.parametrize("version", ["3.3.3", "3.4.0", "2.15.0", "unknown"])
def test_merges_change_with_keras_3_4(version: str) -> None:
    builder = GraphBuilder(version, lambda *_: [], lambda *_: [])
    assert builder.ors_masks == (version in ("3.4.0", "unknown"))


@pytest.mark.parametrize("kind", ["Add", "Concatenate"])
@pytest.mark.parametrize(
    ("version", "op"), [("2.15.0", "MaskAnd"), ("3.3.3", None), ("3.4.1", "MaskOr")]
)
def test_masks_of_merges_by_version(version: str, op: str | None, kind: str) -> None:
    merge = SourceLayer("a", kind, {"axis": -1})
    cell = SourceLayer("r", "SimpleRNN", {"units": 2, "use_bias": False}, weights((3, 2), (2, 2)))
    masks = {name: SourceLayer(name, "Masking", {"mask_value": 0.0}) for name in "mn"}
    calls = (
        SourceCall("m", ("x",), ("x1",)),
        SourceCall("n", ("y",), ("y1",)),
        SourceCall("a", ("x1", "y1"), ("z",)),
        SourceCall("r", ("z",), ("h",)),
    )
    if kind == "Concatenate":
        cell = replace(cell, weights=weights((6, 2), (2, 2)))
    inputs = tuple(SourceInput(name, (None, None, 3)) for name in "xy")
    model = SourceModel(version, {"a": merge, "r": cell, **masks}, inputs, calls, ("h",))
    graph = lower(model)
    assert {node.op for node in graph.nodes if node.op in ("MaskAnd", "MaskOr")} == {op} - {None}
    assert (graph.nodes[-1].mask is None) == (op is None)


@pytest.mark.parametrize(
    ("version", "is_old"),
    [("1.2.2", True), ("2.2.4", True), ("2.3.1", True), ("2.2.4-tf", False), ("2.4.0", False)],
)
def test_only_keras_before_tensorflow_repeats_outputs_in_bidirectional(
    source_of: SourceOf, version: str, is_old: bool
) -> None:
    settings = {"units": 2, "return_sequences": True}
    parts = {
        "forward": SourceLayer("f", "LSTM", settings, weights((3, 8), (2, 8), (8,))),
        "backward": SourceLayer(
            "b", "LSTM", {**settings, "go_backwards": True}, weights((3, 8), (2, 8), (8,))
        ),
    }
    layer = SourceLayer("d", "Bidirectional", {"merge_mode": "concat"}, parts=parts)
    unmasked = source_of(layer, (None, None, 3), keras_version=version)
    assert lower(unmasked).nodes[0].attributes["zero_output_for_mask"] is False
    masking = SourceLayer("m", "Masking", {"mask_value": 0.0})
    calls = (SourceCall("m", ("x",), ("y",)), SourceCall("d", ("y",), ("z",)))
    masked = replace(unmasked, layers={"m": masking, "d": layer}, calls=calls, outputs=("z",))
    found = [node for node in lower(masked).nodes if node.op == "LSTM"]
    assert [node.attributes["zero_output_for_mask"] is not is_old for node in found] == [True] * 2


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.LeakyReLU(),
        lambda: layers.LeakyReLU(alpha=0.1),
        lambda: layers.ThresholdedReLU(),
        lambda: layers.ThresholdedReLU(theta=0.2),
        lambda: layers.ReLU(max_value=1.0, negative_slope=0.2, threshold=0.3),
        lambda: layers.PReLU(shared_axes=[1]),
        lambda: layers.Softmax(),
        lambda: layers.ELU(),
        lambda: layers.Activation("swish"),
        lambda: layers.Activation("gelu"),
        lambda: layers.Activation("mish"),
        lambda: layers.Activation("leaky_relu"),
        lambda: layers.BatchNormalization(axis=[2]),
        lambda: layers.LayerNormalization(),
        lambda: layers.SeparableConv1D(4, 2, padding="causal"),
        lambda: layers.ConvLSTM2D(2, 2, recurrent_activation="hard_sigmoid"),
        lambda: layers.TimeDistributed(layers.Dense(2)),
        lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True),
    ],
)
def test_layers_of_tf_keras(check: Any, features: Any, layer: Any) -> None:
    made = layer()
    if made.name.startswith("conv_lstm2d"):
        shape: tuple[int | None, ...] = (None, 3, 3, 2)
        x = RNG.normal(size=(2, 4, 3, 3, 2)).astype(np.float32)
    else:
        shape, x = (None, 3), features
    fixed = tf_keras.Input((x.shape[1], *shape[1:]))
    check(tf_keras.Model(fixed, made(fixed)), x)


def test_a_slope_stored_as_an_array(source_of: SourceOf) -> None:
    layer = SourceLayer("l", "LeakyReLU", {"alpha": {"type": "ndarray", "value": 0.25}})
    graph = lower(source_of(layer, (None, 4)))
    assert graph.nodes[0].attributes == {"activation": "leaky_relu", "negative_slope": 0.25}


def test_the_slope_of_a_leaky_relu_that_tells_none(source_of: SourceOf) -> None:
    graph = lower(source_of(SourceLayer("l", "LeakyReLU", {}), (None, 4)))
    assert graph.nodes[0].attributes == {"activation": "leaky_relu", "negative_slope": 0.3}


def test_a_pooling_without_strides_takes_its_size(source_of: SourceOf) -> None:
    layer = SourceLayer("p", "MaxPooling1D", {"pool_size": 3, "strides": None})
    node = lower(source_of(layer, (None, None, 4))).nodes[0]
    assert (node.attributes["pool_size"], node.attributes["strides"]) == (3, 3)


@pytest.mark.parametrize("inner", ["BatchNormalization", "LayerNormalization"])
def test_a_mask_passes_over_layers_of_each_timestep(check: Any, features: Any, inner: str) -> None:
    each = layers.TimeDistributed(getattr(layers, inner)())
    stack = [layers.Masking(), each, layers.LSTM(3)]
    check(tf_keras.Sequential([tf_keras.Input((None, 3)), *stack]), features)


def test_words_masked_in_each_sentence(check: Any, ids: Any) -> None:
    words = tf_keras.Input((6,), dtype="int32")
    sentence = layers.LSTM(4)(layers.Embedding(10, 3, mask_zero=True)(words))
    sentences = tf_keras.Input((2, 6), dtype="int32")
    made = layers.TimeDistributed(tf_keras.Model(words, sentence))(sentences)
    check(tf_keras.Model(sentences, layers.LSTM(3)(made)), np.stack([ids, ids[::-1]], axis=1))


@pytest.mark.parametrize("kind", ["CuDNNLSTM", "CuDNNGRU"])
def test_weights_of_cudnn_layers(source_of: SourceOf, kind: str) -> None:
    gates, U, F = (4, 2, 3) if kind == "CuDNNLSTM" else (3, 2, 3)
    kernel, recurrent, bias = weights((F, gates * U), (U, gates * U), (2 * gates * U,))
    found = SourceLayer("c", kind, {"units": U}, (kernel, recurrent, bias))
    graph = lower(source_of(found, (None, None, F)))
    node = graph.nodes[0]
    assert node.attributes["recurrent_activation"] == "sigmoid"
    values = {role: array_of(graph.weights[name]) for role, name in node.weights.items()}
    # cuDNN takes each gate's numbers as a matrix [U, F] that stands left of x
    parts = np.split(kernel, gates, axis=1)
    expected = np.hstack([part.reshape(-1).reshape(U, F).T for part in parts])
    np.testing.assert_array_equal(values["kernel"], expected)
    parts = np.split(recurrent, gates, axis=1)
    np.testing.assert_array_equal(values["recurrent_kernel"], np.hstack([p.T for p in parts]))
    total = bias.reshape(2, -1) if kind == "CuDNNGRU" else bias[: 4 * U] + bias[4 * U :]
    np.testing.assert_array_equal(values["bias"], total)
