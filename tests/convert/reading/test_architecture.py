"""What a configuration says: layers, parts and inputs of every Keras, and what is refused."""

from typing import Any

import pytest

from gatelet.convert.reading import architecture
from gatelet.convert.reading.architecture import read_architecture
from gatelet.convert.reading.source import SourceLayer, SourceModel
from gatelet.errors import ModelError, UnsupportedLayer

Entry = dict[str, Any]


def read(description: Any, version: str = "2.2.4") -> SourceModel:
    return read_architecture(description, keras_version=version, where="the file")


def entry(kind: str, name: str = "a", **config: Any) -> Entry:
    return {"class_name": kind, "config": {"name": name, **config}}


def sequential(*layers: Entry, as_list: bool = False, **config: Any) -> Entry:
    found = list(layers) if as_list else {"name": "model", "layers": list(layers), **config}
    return {"class_name": "Sequential", "config": found}


LSTM = entry("LSTM", "lstm", units=3)
SHAPED = entry("LSTM", "lstm", units=3, batch_input_shape=[None, 5, 2])


@pytest.mark.parametrize(
    "description",
    [
        sequential(SHAPED),
        sequential(SHAPED, as_list=True),
        sequential(entry("InputLayer", "i", batch_input_shape=[None, 5, 2]), LSTM),
        sequential(entry("InputLayer", "i", batch_shape=[None, 5, 2]), LSTM),
        sequential(LSTM, build_input_shape=[None, 5, 2]),
        sequential(LSTM) | {"build_config": {"input_shape": [None, 5, 2]}},
        sequential(sequential(SHAPED) | {"name": "inner"}),
    ],
    ids=["keras 2.3", "keras 2.2", "tf.keras", "keras 3", "tf.keras, deferred", "keras 3, deferred",
         "the first layer is a model"],
)  # fmt: skip
def test_the_input_shape_is_found_where_every_keras_puts_it(description: Entry) -> None:
    model = read(description)
    assert model.inputs[0].shape == (None, 5, 2)
    assert model.calls[0].inputs == (model.inputs[0].value,)


def test_an_input_tells_its_name_and_type() -> None:
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "int32"}}
    for dtype in ("int32", policy):
        taken = entry("InputLayer", "ids", batch_shape=[None, 5], dtype=dtype)
        one = read(sequential(taken, entry("Embedding", "e", input_dim=9, output_dim=2))).inputs[0]
        assert (one.name, one.dtype, one.shape) == ("ids", "int32", (None, 5))


def test_a_model_that_is_not_built_is_refused() -> None:
    with pytest.raises(ModelError, match=r"^the file does not tell its input shape: build the"):
        read(sequential(LSTM))


def test_the_backward_layer_is_the_forward_one_turned_round() -> None:
    wrapped = entry("Bidirectional", "both", layer=LSTM, batch_input_shape=[None, 5, 2])
    both = read(sequential(wrapped)).layers["both"]
    forward, backward = part(both, "forward"), part(both, "backward")
    assert (forward.name, backward.name) == ("forward_lstm", "backward_lstm")
    assert not forward.config.get("go_backwards")
    assert backward.config == {**LSTM["config"], "go_backwards": True}


def test_a_backward_layer_of_its_own_is_kept() -> None:
    own = entry("GRU", "other", units=7, go_backwards=True)
    wrapped = entry("Bidirectional", "both", layer=LSTM, backward_layer=own)
    both = read(sequential(wrapped, build_input_shape=[None, 5, 2])).layers["both"]
    assert part(both, "backward").class_name == "GRU"
    assert part(both, "backward").config["units"] == 7


def test_cells_and_wrapped_layers_are_parts() -> None:
    cells = [entry("LSTMCell", "c1", units=2), entry("GRUCell", "c2", units=3)]
    stacked = entry("StackedRNNCells", "s", cells=cells)
    rnn = entry("RNN", "rnn", cell=stacked, batch_input_shape=[None, 5, 2])
    each = entry("TimeDistributed", "each", layer=sequential(entry("Dense", "d", units=2)))
    model = read(sequential(rnn, each))
    cell = part(model.layers["rnn"], "cell")
    assert [name for name in cell.parts] == ["cell_0", "cell_1"]
    assert part(cell, "cell_1").class_name == "GRUCell"
    inner = part(model.layers["each"], "layer").parts["model"]
    assert isinstance(inner, SourceModel)
    assert list(inner.layers) == ["d"]


def test_a_last_layer_may_have_several_outputs_and_no_other() -> None:
    states = {**SHAPED, "config": {**SHAPED["config"], "return_state": True}}
    assert len(read(sequential(states)).outputs) == 3
    with pytest.raises(ModelError, match="layer 'lstm' has several outputs"):
        read(sequential(states, entry("Dense", units=1)))


CUSTOM = {"module": "my.layers", "registered_name": "mine>LSTM"}
REFUSED = [
    (entry("Lambda", "l", function="4wEA"), "layer 'l' (Lambda) holds Python code, which is never"),
    (entry("TFOpLambda", "t", function="math.add"), "'t' (TFOpLambda) is an operation (math.add)"),
    (entry("LSTM", "m") | CUSTOM, "layer 'm' (mine>LSTM) is a custom class"),
    (entry("LSTM", "m") | {"module": "__main__"}, "layer 'm' (__main__>LSTM) is a custom class"),
    (entry("Addons>LSTM", "m"), "layer 'm' (Addons>LSTM) is a custom class"),
]


@pytest.mark.parametrize(("layer", "told"), REFUSED)
@pytest.mark.parametrize("inside", [False, True])
def test_layers_that_no_keras_has_are_refused_by_name(
    layer: Entry, told: str, inside: bool
) -> None:
    found = entry("TimeDistributed", "outer", layer=layer) if inside else layer
    with pytest.raises(UnsupportedLayer) as caught:
        read(sequential(SHAPED, found))
    assert told in str(caught.value)
    assert "build the model with Keras' own layers in their place, or " in str(caught.value)
    name = told.split("'")[1]
    given = f"custom_objects={{'{name}': ...}})"
    assert str(caught.value).endswith("--route keras" if "operation" in told else given)


def test_all_layers_in_the_way_are_named_at_once() -> None:
    with pytest.raises(UnsupportedLayer) as caught:
        read(sequential(SHAPED, entry("Lambda", "first"), entry("Lambda", "second")))
    assert "layer 'first' (Lambda)" in str(caught.value)
    assert "layer 'second' (Lambda)" in str(caught.value)
    assert caught.value.facts["layer"] == "first"


@pytest.mark.parametrize(
    ("description", "told"),
    [
        ({"class_name": "MyModel", "config": {}}, "is a MyModel model, whose code no file holds"),
        ({"class_name": "Functional", "config": {"units": 3}}, "is a subclassed model"),
        (sequential(SHAPED) | CUSTOM, "is a mine>LSTM model"),
    ],
)
def test_models_that_compute_in_code_are_refused(description: Entry, told: str) -> None:
    with pytest.raises(UnsupportedLayer, match=told):
        read(description)


@pytest.mark.parametrize("flag", ["sparse", "ragged"])
def test_inputs_that_are_no_dense_tensors_are_refused(flag: str) -> None:
    taken = entry("InputLayer", "i", batch_shape=[None, 5, 2], **{flag: True})
    with pytest.raises(UnsupportedLayer, match=f"^input 'i' is {flag}, "):
        read(sequential(taken, LSTM))


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"class_name": "Sequential"},
        {"class_name": "Sequential", "config": 3},
        {"class_name": "Sequential", "config": {"layers": [3]}},
        sequential({"class_name": "LSTM"}),
        sequential(entry("LSTM", batch_input_shape="abc")),
        sequential(entry("LSTM", batch_input_shape=[None, -5, 2])),
        sequential(entry("LSTM", batch_input_shape=[None, True, 2])),
        sequential(entry("Bidirectional", batch_input_shape=[None, 5, 2])),
    ],
)
def test_damaged_configurations_are_refused(description: Any) -> None:
    with pytest.raises(ModelError, match=r"^the file has a damaged configuration: "):
        read(description)


@pytest.mark.parametrize(
    "settings",
    [
        {"units": 2**40},
        {"target_shape": [2**20, 2**20]},
        {"kernel_size": [2] * 5000},
        {"units": -(2**40)},
    ],
)
def test_huge_dimensions_are_refused(settings: Entry) -> None:
    with pytest.raises(ModelError, match=r"^the file is refused: layer 'big' \(Dense\) has "):
        read(sequential(SHAPED, entry("Dense", "big", **settings)))


@pytest.mark.parametrize("shape", [[None, 2**20, 2**20], [1] * 1000])
def test_huge_inputs_are_refused(shape: list[int]) -> None:
    with pytest.raises(ModelError, match=r"are the most allowed$"):
        read(sequential(entry("InputLayer", "i", batch_shape=shape), LSTM))


def test_deep_nesting_is_refused() -> None:
    layer = LSTM
    for index in range(100):
        layer = entry("TimeDistributed", f"t{index}", layer=layer)
    with pytest.raises(ModelError, match="its layers are nested deeper than 32, the most allowed"):
        read(sequential(SHAPED, layer))


def test_too_many_layers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architecture, "MAX_LAYERS", 3)
    with pytest.raises(ModelError, match="it has more than 3 layers, the most allowed"):
        read(sequential(SHAPED, *(entry("Dropout", f"d{i}") for i in range(3))))


def test_keras_1_is_put_in_the_words_of_keras_2() -> None:
    conv = entry(
        "Convolution1D", "c", nb_filter=4, filter_length=3, border_mode="same",
        subsample_length=2, bias=False, batch_input_shape=[None, 5, 2],
    )  # fmt: skip
    lstm = entry("LSTM", "l", output_dim=3, inner_activation="hard_sigmoid", consume_less="cpu")
    image = entry("Convolution2D", "i", nb_filter=2, nb_row=3, nb_col=5, dim_ordering="th")
    embedding = entry("Embedding", "e", input_dim=9, output_dim=2, dropout=0.5)
    model = read(sequential(conv, lstm, image, embedding, as_list=True), version="1.2.2")
    found = model.layers
    assert found["c"].class_name == "Conv1D"
    expected = {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2, "use_bias": False}
    assert expected.items() <= found["c"].config.items()
    assert found["l"].config["units"] == 3
    assert found["l"].config["recurrent_activation"] == "hard_sigmoid"
    assert found["i"].config["kernel_size"] == [3, 5]
    assert found["i"].config["data_format"] == "channels_first"
    assert found["e"].config["output_dim"] == 2


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"mode": "dot"}, "layer 'm' (Merge) has mode 'dot', which cannot be converted"),
        ({"mode": "concat", "layers": [sequential(SHAPED)]}, "holds the models that it merges"),
    ],
)
def test_merge_layers_of_keras_1_without_a_counterpart_are_refused(
    config: Entry, told: str
) -> None:
    with pytest.raises(UnsupportedLayer) as caught:
        read(sequential(SHAPED, entry("Merge", "m", **config)), version="1.2.2")
    assert told in str(caught.value)


def test_a_batch_normalization_by_sample_is_refused() -> None:
    with pytest.raises(UnsupportedLayer, match=r"^layer 'n' \(BatchNormalization\): mode=1 "):
        read(sequential(SHAPED, entry("BatchNormalization", "n", mode=1)), version="1.2.2")


def part(layer: SourceLayer, name: str) -> SourceLayer:
    found = layer.parts[name]
    assert isinstance(found, SourceLayer)
    return found
