"""Calls of functional models, in the words of every Keras, become the same calls."""

from typing import Any

import pytest

from gatelet.convert.reading.architecture import read_architecture
from gatelet.convert.reading.source import SourceCall, SourceModel
from gatelet.errors import ModelError, UnsupportedLayer

Entry = dict[str, Any]
CYCLE = r"^the file is cyclic: layer 'a' needs its own output; "


def layer(name: str, kind: str, *calls: Any, **config: Any) -> Entry:
    settings = {"name": name, "trainable": True, "dtype": "float32", **config}
    return {"class_name": kind, "config": settings, "name": name, "inbound_nodes": list(calls)}


def taken(name: str, *shape: int | None) -> Entry:
    config = {"batch_input_shape": [None, *shape], "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def operation(name: str, kind: str, *calls: Any) -> Entry:
    found = {"class_name": kind, "config": {"name": name}, "name": name}
    return {**found, "module": "keras.src.ops.numpy", "inbound_nodes": list(calls)}


def tensor(name: str, node: int = 0, index: int = 0) -> Entry:
    """Return a tensor as Keras 3 writes it."""
    history = {"shape": [None, 3], "dtype": "float32", "keras_history": [name, node, index]}
    return {"class_name": "__keras_tensor__", "config": history}


def call(*args: Any, **kwargs: Any) -> Entry:
    """Return a call as Keras 3 writes it."""
    return {"args": list(args), "kwargs": kwargs}


def read(*layers: Entry, outputs: Any, inputs: Any = None, kind: str = "Functional") -> SourceModel:
    names = [one["name"] for one in layers if one["class_name"] == "InputLayer"]
    config = {
        "name": "model",
        "layers": list(layers),
        "input_layers": inputs or [[name, 0, 0] for name in names],
        "output_layers": outputs,
    }
    description = {"class_name": kind, "config": config}
    return read_architecture(description, keras_version="2.2.4", where="the file")


X, Y = taken("x", 5, 3), taken("y", 5, 3)
LEGACY_STATES = [["x", 0, 0, {}], ["e", 0, 1, {}], ["e", 0, 2, {}]]
STATES_IN_KWARGS = [["x", 0, 0, {"initial_state": [["e", 0, 1], ["e", 0, 2]]}]]
KERAS_3_STATES = call(tensor("x"), initial_state=[tensor("e", 0, 1), tensor("e", 0, 2)])
KERAS_3_POSITIONAL = call(tensor("x"), [tensor("e", 0, 1), tensor("e", 0, 2)])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([["x", 0, 0]], LEGACY_STATES),
        ([["x", 0, 0, {}]], STATES_IN_KWARGS),
        (call(tensor("x")), KERAS_3_STATES),
        (call(tensor("x")), KERAS_3_POSITIONAL),
        (call(tensor("x"), training=False, mask=None), KERAS_3_STATES),
    ],
    ids=["keras 1 and 2", "tf.keras", "keras 3", "keras 3, positional", "keras 3, empty arguments"],
)
def test_states_are_told_from_inputs(first: Any, second: Any) -> None:
    model = read(
        X,
        layer("e", "LSTM", first, units=2, return_state=True),
        layer("d", "LSTM", second, units=2),
        outputs=[["d", 0, 0]],
    )
    encoder, decoder = model.calls
    assert encoder.inputs == ("x:0:0",)
    assert encoder.outputs == ("e:0:0", "e:0:1", "e:0:2")
    assert (decoder.inputs, decoder.states) == (("x:0:0", "e:0:1", "e:0:2"), 2)
    assert decoder.masked is (False if isinstance(second, dict) else None)


@pytest.mark.parametrize("state", [["e", 0, 1], [["e", 0, 1]]])
def test_a_single_state_may_stand_alone(state: Any) -> None:
    decoder = read(
        X,
        layer("e", "GRU", [["x", 0, 0, {}]], units=2, return_state=True),
        layer("d", "GRU", [["x", 0, 0, {"initial_state": state}]], units=2),
        outputs=["d", 0, 0],
    ).calls[1]
    assert (decoder.inputs, decoder.states) == (("x:0:0", "e:0:1"), 1)


@pytest.mark.parametrize(
    "node",
    [
        [["x", 0, 0], ["y", 0, 0]],
        [["x", 0, 0, {}], ["y", 0, 0, {}]],
        [[["x", 0, 0, {}], ["y", 0, 0, {}]]],
        {"b": ["y", 0, 0, {}], "a": ["x", 0, 0, {}]},
        call([tensor("x"), tensor("y")]),
        call(tensor("x"), tensor("y")),
        call({"b": tensor("y"), "a": tensor("x")}),
    ],
)
def test_several_inputs_come_in_every_nesting(node: Any) -> None:
    model = read(X, Y, layer("m", "Concatenate", node), outputs=[["m", 0, 0]])
    assert model.calls == (SourceCall("m", ("x:0:0", "y:0:0"), ("m:0:0",)),)


@pytest.mark.parametrize("node", [["x", 0, 0, {}], [["x", 0, 0]], [[["x", 0, 0, None]]]])
def test_one_input_comes_in_every_nesting(node: Any) -> None:
    model = read(X, layer("d", "Dense", node, units=2), outputs=["d", 0, 0])
    assert model.calls[0].inputs == ("x:0:0",)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([["y", 0, 0], ["x", 0, 0]], [["e", 0, 0], ["d", 0, 0]]),
        ({"b": ["x", 0, 0], "a": ["y", 0, 0]}, {"z": ["d", 0, 0], "c": ["e", 0, 0]}),
        ([tensor("y"), tensor("x")], [tensor("e"), tensor("d")]),
    ],
)
def test_inputs_and_outputs_keep_the_order_of_the_model(inputs: Any, outputs: Any) -> None:
    d, e = layer("d", "Dense", [["x", 0, 0]], units=2), layer("e", "Dense", [["y", 0, 0]], units=2)
    model = read(X, Y, d, e, inputs=inputs, outputs=outputs)
    assert [one.name for one in model.inputs] == ["y", "x"]
    assert model.outputs == ("e:0:0", "d:0:0")


def test_a_shared_layer_is_called_again() -> None:
    shared = layer("s", "LSTM", [["x", 0, 0]], [["y", 0, 0]], units=2)
    model = read(X, Y, shared, outputs=[["s", 1, 0], ["s", 0, 0]])
    assert [call.inputs for call in model.calls] == [("y:0:0",), ("x:0:0",)]
    assert list(model.layers) == ["s"]
    assert model.outputs == ("s:1:0", "s:0:0")


@pytest.mark.parametrize("first", [0, 1, 5])
def test_calls_of_a_nested_model_may_be_counted_from_anywhere(first: int) -> None:
    d = layer("d", "Dense", [["z", 0, 0]], units=2)
    inner = {"layers": [taken("z", 3), d], "input_layers": [["z", 0, 0]]}
    inner["output_layers"] = [["d", 0, 0]]
    nested = layer("n", "Model", [["x", 0, 0]], [["y", 0, 0]], **inner)
    add = layer("a", "Add", [["n", first, 0], ["n", first + 1, 0]])
    model = read(X, Y, nested, add, outputs=[["a", 0, 0]], kind="Model")
    assert [call.inputs for call in model.calls[:2]] == [("x:0:0",), ("y:0:0",)]
    part = model.layers["n"].parts["model"]
    assert isinstance(part, SourceModel)
    assert part.calls == (SourceCall("d", ("z:0:0",), ("d:0:0",)),)


def test_the_order_of_calls_does_not_depend_on_the_order_in_the_file() -> None:
    d, e = layer("d", "Dense", [["x", 0, 0]], units=2), layer("e", "Dense", [["d", 0, 0]], units=2)
    f = layer("f", "Add", [["e", 0, 0], ["d", 0, 0]])
    there = read(X, d, e, f, outputs=[["f", 0, 0]])
    back = read(f, e, d, X, outputs=[["f", 0, 0]])
    assert there.calls == back.calls
    assert [call.layer for call in there.calls] == ["d", "e", "f"]


def test_what_no_output_needs_is_not_called() -> None:
    d, e = layer("d", "Dense", [["x", 0, 0]], units=2), layer("e", "Dense", [["x", 0, 0]], units=2)
    assert [call.layer for call in read(X, d, e, outputs=[["d", 0, 0]]).calls] == ["d"]


def test_a_model_of_many_layers_needs_no_deep_stack() -> None:
    layers = [X, layer("d0", "Dense", [["x", 0, 0]], units=2)]
    layers += [layer(f"d{i}", "Dense", [[f"d{i - 1}", 0, 0]], units=2) for i in range(1, 5000)]
    assert len(read(*layers, outputs=[["d4999", 0, 0]]).calls) == 5000


EMBEDDED = layer("e", "Embedding", call(tensor("x")), input_dim=9, output_dim=2, mask_zero=True)
NOT_EQUAL = operation("n", "NotEqual", call(tensor("x"), 0))


def masked(*more: Entry, mask: str = "n", source: str = "e") -> SourceModel:
    node = call(tensor(source), mask=tensor(mask), training=False)
    last = layer("r", "LSTM", node, units=2)
    return read(taken("x", 5), taken("y", 5), *more, last, outputs=[["r", 0, 0]])


@pytest.mark.parametrize("between", [False, True])
def test_a_mask_that_keras_3_wrote_down_is_found_again(between: bool) -> None:
    dropout = layer("d", "Dropout", call(tensor("e"), training=False), rate=0.5)
    model = masked(EMBEDDED, NOT_EQUAL, dropout, source="d" if between else "e")
    assert model.calls[-1].masked is True
    assert "n" not in model.layers


def test_a_mask_of_merged_values_is_found_again() -> None:
    other = layer("f", "Embedding", call(tensor("y")), input_dim=9, output_dim=2, mask_zero=True)
    also = operation("m", "NotEqual", call(tensor("y"), 0))
    either = operation("o", "LogicalOr", call(tensor("n"), tensor("m")))
    add = layer("a", "Add", call([tensor("e"), tensor("f")]))
    assert masked(EMBEDDED, other, NOT_EQUAL, also, either, add, mask="o", source="a")


def test_a_masking_layer_makes_a_mask_of_its_own_value() -> None:
    masking = layer("e", "Masking", call(tensor("x")), mask_value=-1.0)
    unequal = operation("u", "NotEqual", call(tensor("x"), -1.0))
    some = operation("n", "Any", call(tensor("u")))
    assert masked(masking, unequal, some).calls[-1].masked is True


OTHER = layer("e", "Embedding", call(tensor("x")), input_dim=9, output_dim=2, mask_zero=False)


@pytest.mark.parametrize(
    "layers",
    [
        (OTHER, NOT_EQUAL),
        (EMBEDDED, operation("n", "NotEqual", call(tensor("x"), 1))),
        (EMBEDDED, operation("n", "NotEqual", call(tensor("y"), 0))),
        (EMBEDDED, operation("n", "Greater", call(tensor("x"), 0))),
        (EMBEDDED, NOT_EQUAL | {"name": "m"}, operation("n", "LogicalNot", call(tensor("m")))),
        (EMBEDDED, layer("n", "Dense", call(tensor("x")), units=5)),
        (EMBEDDED, operation("n", "LogicalOr", call(tensor("n"), tensor("n")))),
    ],
    ids=["no mask_zero", "another value", "another input", "another operation", "a negation",
         "a layer", "a cycle"],
)  # fmt: skip
def test_a_mask_of_the_authors_own_is_refused(layers: tuple[Entry, ...]) -> None:
    with pytest.raises(UnsupportedLayer, match=r"^layer 'r' \(LSTM\) is called with a mask of its"):
        masked(*layers)


def test_a_legacy_mask_is_refused() -> None:
    e = layer("e", "Embedding", [["x", 0, 0]], input_dim=9, output_dim=2, mask_zero=True)
    r = layer("r", "LSTM", [["e", 0, 0, {"mask": ["e", 0, 0]}]], units=2)
    with pytest.raises(UnsupportedLayer, match=r"^layer 'r' \(LSTM\) is called with a mask of its"):
        read(taken("x", 5), e, r, outputs=[["r", 0, 0]])


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (call(tensor("x"), training=True), "training=True"),
        (call(tensor("x"), True), "training=True"),
        ([["x", 0, 0, {"training": True}]], "training=True"),
        ([["x", 0, 0, {"axis": 2}]], "the argument 'axis'"),
        (call(tensor("x"), key=tensor("y")), "the argument 'key'"),
        ([["_CONSTANT_VALUE", -1, [1.0], {}]], "a constant in place of a tensor"),
    ],
)
def test_arguments_that_change_a_layer_are_refused(node: Any, told: str) -> None:
    with pytest.raises(UnsupportedLayer) as caught:
        read(X, Y, layer("d", "Dropout", node), outputs=[["d", 0, 0]])
    assert str(caught.value).startswith(f"layer 'd' (Dropout) is called with {told}, ")


@pytest.mark.parametrize(
    ("class_name", "settings", "told"),
    [
        ("Dropout", {}, "so it would predict at random"),
        ("LSTM", {"units": 2, "recurrent_dropout": 0.1}, "so it would predict at random"),
        ("BatchNormalization", {}, "each row's scores would depend on the rows beside it"),
        ("Dense", {"units": 2}, "what is for training alone would go on in it"),
    ],
)
def test_training_is_refused_for_what_it_does(
    class_name: str, settings: dict[str, Any], told: str
) -> None:
    node = call(tensor("x"), training=True)
    with pytest.raises(UnsupportedLayer, match=rf"is called with training=True, .*{told}"):
        read(X, layer("d", class_name, node, **settings), outputs=[["d", 0, 0]])


def test_training_changes_no_recurrence_that_drops_nothing() -> None:
    lstm = layer("d", "LSTM", call(tensor("x"), training=True), units=2, dropout=0.0)
    assert read(X, lstm, outputs=[["d", 0, 0]]).outputs == ("d:0:0",)


def test_operations_are_refused_by_name() -> None:
    add = operation("plus", "Add", call(tensor("x"), tensor("y")))
    why = r"^the file: 'plus' \(Add\) is an operation, .* with --route keras"
    with pytest.raises(UnsupportedLayer, match=why):
        read(X, Y, add, layer("d", "Dense", call(tensor("plus")), units=2), outputs=[["d", 0, 0]])


def test_operations_in_hdf5_files_tell_no_module() -> None:
    add = operation("plus", "Add", call(tensor("x"), tensor("y")))
    del add["module"]
    with pytest.raises(UnsupportedLayer, match=r"^the file: 'plus' \(Add\) is an operation, "):
        read(X, Y, add, layer("d", "Dense", call(tensor("plus")), units=2), outputs=[["d", 0, 0]])


@pytest.mark.parametrize(
    ("nodes", "outputs", "message"),
    [
        ({"a": [["b", 0, 0]], "b": [["a", 0, 0]]}, [["a", 0, 0]], CYCLE),
        ({"a": [["a", 0, 0]]}, [["a", 0, 0]], CYCLE),
        ({"a": [["x", 0, 0]]}, [["b", 0, 0]], "uses an output of layer 'b', which it does not"),
        ({"a": [["x", 0, 0]]}, [["a", 0, 1]], r"uses output 1 of layer 'a' \(Dense\), which has 1"),
        ({"a": [["x", 0, 1]]}, [["a", 0, 0]], r"uses output 1 of layer 'x' \(InputLayer\)"),
        ({"a": [["x", 0, 0]]}, [["a", 0, 0], ["a", 7, 0]], r"uses call 7 of layer 'a' \(Dense\), "),
        ({"a": []}, [["a", 0, 0]], r"layer 'a' \(Dense\) is called without an input"),
        ({"a": [["x", 0, 0]]}, [], "it names no outputs"),
        ({"a": "x"}, [["a", 0, 0]], "where a tensor is expected"),
        ({"a": {"args": 3, "kwargs": {}}}, [["a", 0, 0]], "layer 'a' has a damaged call"),
    ],
)
def test_damaged_wiring_is_refused(nodes: Any, outputs: Any, message: str) -> None:
    layers = [layer(name, "Dense", node, units=2) for name, node in nodes.items()]
    with pytest.raises(ModelError, match=message):
        read(X, *layers, outputs=outputs)


def test_an_input_that_is_none_is_refused() -> None:
    d = layer("d", "Dense", [["x", 0, 0]], units=2)
    with pytest.raises(ModelError, match="its input 'd' is no InputLayer"):
        read(X, d, inputs=[["d", 0, 0]], outputs=[["d", 0, 0]])


def test_an_input_that_the_model_does_not_take_is_refused() -> None:
    d = layer("d", "Add", [["x", 0, 0], ["y", 0, 0]])
    with pytest.raises(ModelError, match="it uses 'y', which is none of its inputs"):
        read(X, Y, d, inputs=[["x", 0, 0]], outputs=[["d", 0, 0]])


def test_two_layers_of_one_name_are_refused() -> None:
    d = layer("d", "Dense", [["x", 0, 0]], units=2)
    with pytest.raises(ModelError, match="has two layers with the name 'd'"):
        read(X, d, d, outputs=[["d", 0, 0]])
