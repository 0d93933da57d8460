"""What is refused: the message names the layer, what is wrong and the way out."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from gatelet.convert.lowering import lower
from gatelet.convert.reading.source import SourceCall, SourceInput, SourceLayer, SourceModel
from gatelet.errors import ModelError, UnsupportedLayer

SourceOf = Callable[..., SourceModel]


def layer_of(
    class_name: str, config: Mapping[str, Any], *shapes: tuple[int, ...], **parts: SourceLayer
) -> SourceLayer:
    arrays = tuple(np.zeros(shape, np.float32) for shape in shapes)
    return SourceLayer("mine", class_name, config, arrays, parts)


LSTM = {"units": 2}
SHAPES = {"LSTM": ((3, 8), (2, 8), (8,)), "GRU": ((3, 6), (2, 6), (2, 6))}

WRONG_WEIGHTS = {
    "lstm_kernel": (layer_of("LSTM", LSTM, (4, 8), (2, 8), (8,)), "kernel", [3, 8], [4, 8]),
    "lstm_recurrent": (
        layer_of("LSTM", LSTM, (3, 8), (3, 8), (8,)),
        "recurrent_kernel",
        [2, 8],
        [3, 8],
    ),
    "lstm_bias": (layer_of("LSTM", LSTM, (3, 8), (2, 8), (6,)), "bias", [8], [6]),
    "gru_bias": (
        layer_of("GRU", {"units": 2, "reset_after": True}, (3, 6), (2, 6), (6,)),
        "bias",
        [2, 6],
        [6],
    ),
    "dense": (layer_of("Dense", LSTM, (4, 2), (2,)), "kernel", [3, 2], [4, 2]),
    "conv": (
        layer_of("Conv1D", {"filters": 2, "kernel_size": [3]}, (3, 4, 2), (2,)),
        "kernel",
        [3, 3, 2],
        [3, 4, 2],
    ),
    "embedding": (
        layer_of("Embedding", {"input_dim": 9, "output_dim": 2}, (8, 2)),
        "embeddings",
        [9, 2],
        [8, 2],
    ),
    "batch_normalization": (
        layer_of("BatchNormalization", {"axis": -1}, (4,), (3,), (3,), (3,)),
        "gamma",
        [3],
        [4],
    ),
    "layer_normalization": (
        layer_of("LayerNormalization", {"axis": -1}, (3,), (4,)),
        "beta",
        [3],
        [4],
    ),
    "prelu": (layer_of("PReLU", {"shared_axes": [1]}, (1, 4)), "alpha", [1, 3], [1, 4]),
}


@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_weights_of_another_shape(source_of: SourceOf, case: str) -> None:
    layer, role, expected, found = WRONG_WEIGHTS[case]
    shape = (None, None) if layer.class_name == "Embedding" else (None, None, 3)
    with pytest.raises(ModelError) as caught:
        lower(source_of(layer, shape, keras_version="3.1.0"))
    message = str(caught.value)
    assert f"'mine' ({layer.class_name})" in message
    assert f"its {role} should be {expected}, the file has {found}" in message
    assert caught.value.facts == {"layer": "mine", "class_name": layer.class_name}


@pytest.mark.parametrize("count", [0, 2, 4])
def test_another_number_of_weights(source_of: SourceOf, count: int) -> None:
    layer = layer_of("LSTM", LSTM, *[(3, 8)] * count)
    message = rf"'mine' \(LSTM\) needs 3 weights \(kernel, .*, the file has {count}"
    with pytest.raises(ModelError, match=message):
        lower(source_of(layer, (None, None, 3)))


REFUSED: dict[str, tuple[SourceLayer, str]] = {
    "unknown_layer": (
        layer_of("Attention", {}),
        r"\(Attention\) cannot be lowered: .*--route keras",
    ),
    "own_activation": (
        layer_of("Dense", {"units": 2, "activation": "my_own"}, (3, 2), (2,)),
        r"\(Dense\): activation 'my_own' cannot be lowered; only Keras' own can: docs",
    ),
    "own_function": (
        layer_of(
            "LSTM",
            {**LSTM, "activation": {"class_name": "function", "config": "mine>f"}},
            *SHAPES["LSTM"],
        ),
        r"\(LSTM\): activation 'mine>f' cannot be lowered",
    ),
    "time_major": (
        layer_of("LSTM", {**LSTM, "time_major": True}, *SHAPES["LSTM"]),
        r"time_major=True cannot be lowered; build the layer with time_major=False",
    ),
    "own_cell": (
        layer_of("RNN", {}, cell=layer_of("MyCell", {})),
        r"\(RNN\): the cell MyCell cannot be lowered; supported: .*LSTMCell",
    ),
    "padding": (
        layer_of("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "full"}, (3, 3, 2), (2,)),
        r"padding='full' cannot be lowered; supported: valid, same, causal",
    ),
    "axes": (
        layer_of("Conv2D", {"filters": 2, "kernel_size": 3}),
        r"an input with 3 axes cannot be lowered; supported: 4; put the layer into TimeDist",
    ),
    "renorm": (
        layer_of("BatchNormalization", {"renorm": True}),
        r"renorm=True cannot be lowered; supported: renorm=False",
    ),
    "batch_axis": (
        layer_of("Concatenate", {"axis": 0}),
        r"axis=0 cannot be lowered; supported: every axis but the batch's",
    ),
    "merge_mode": (
        layer_of(
            "Bidirectional",
            {"merge_mode": "max"},
            forward=layer_of("LSTM", LSTM, *SHAPES["LSTM"]),
            backward=layer_of("LSTM", {**LSTM, "go_backwards": True}, *SHAPES["LSTM"]),
        ),
        r"merge_mode='max' cannot be lowered; supported: concat, sum, mul, ave, None",
    ),
    "not_recurrent": (
        layer_of("Bidirectional", {}, forward=layer_of("Dense", {})),
        r"a forward layer that is not recurrent cannot be lowered; supported: LSTM",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_lowered(source_of: SourceOf, case: str) -> None:
    layer, message = REFUSED[case]
    with pytest.raises(UnsupportedLayer, match="layer 'mine'.*" + message) as caught:
        lower(source_of(layer, (None, None, 3)))
    assert caught.value.facts == {"layer": "mine", "class_name": layer.class_name}


def test_an_unknown_layer_is_refused_in_few_words(source_of: SourceOf) -> None:
    with pytest.raises(UnsupportedLayer) as caught:
        lower(source_of(layer_of("Attention", {}), (None, None, 3)))
    message = str(caught.value)
    assert message.startswith("layer 'mine' (Attention) cannot be lowered: ")
    assert "--route keras" in message
    assert len(message) <= 300


DAMAGED: dict[str, tuple[SourceLayer, str]] = {
    "no_units": (layer_of("LSTM", {}), "its units should be a whole number, the file has None"),
    "text": (layer_of("Dense", {"units": "9"}), "its units should be a whole number"),
    "negative": (layer_of("GRU", {"units": -1}), "its units should be 1 or more, .* has -1"),
    "sizes": (
        layer_of("Conv1D", {"filters": 2, "kernel_size": [3, 3]}),
        "its kernel_size should be 1 whole numbers",
    ),
    "reshape": (layer_of("Reshape", {"target_shape": [7]}), r"\[6, 3\] cannot be given.*\[7\]"),
    "numbers": (layer_of("Rescaling", {"scale": ["x"]}), "its scale should be numbers"),
    "normalization": (layer_of("Normalization", {"axis": -1}), "neither adapted weights nor mean"),
    "directions": (
        layer_of(
            "Bidirectional",
            {},
            forward=layer_of("LSTM", LSTM, *SHAPES["LSTM"]),
            backward=layer_of("LSTM", LSTM, *SHAPES["LSTM"]),
        ),
        "its two layers go in the same direction",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_configurations(source_of: SourceOf, case: str) -> None:
    layer, message = DAMAGED[case]
    with pytest.raises(ModelError, match="layer 'mine'.*" + message):
        lower(source_of(layer, (None, 6, 3)))


@pytest.mark.parametrize("class_name", ["Flatten", "PReLU"])
def test_a_layer_that_needs_a_length_that_nothing_tells(
    source_of: SourceOf, class_name: str
) -> None:
    layer = layer_of(class_name, {}, *([(6, 3)] if class_name == "PReLU" else []))
    message = rf"'mine' \({class_name}\) needs to know every size .* fixed input length"
    with pytest.raises(ModelError, match=message):
        lower(source_of(layer, (None, None, 3)))


def test_states_that_do_not_fit() -> None:
    layer = layer_of("LSTM", LSTM, *SHAPES["LSTM"])
    inputs = (SourceInput("x", (None, None, 3)), SourceInput("h", (None, 2)))
    calls = (SourceCall("mine", ("x", "h"), ("y",), states=1),)
    model = SourceModel("3.1.0", {"mine": layer}, inputs, calls, ("y",))
    with pytest.raises(ModelError, match=r"needs 2 initial states of \[2\], the model gives"):
        lower(model)


def test_masked_ids_of_several_axes(source_of: SourceOf) -> None:
    config = {"input_dim": 9, "output_dim": 2, "mask_zero": True}
    layer = layer_of("Embedding", config, (9, 2))
    with pytest.raises(UnsupportedLayer, match="mask_zero=True for ids of more than"):
        lower(source_of(layer, (None, None, 4)))
