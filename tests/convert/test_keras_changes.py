"""Today's Keras is asked by the rules of the Keras that wrote a file, and the report says so."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.lowering import lower
from gatelet.convert.parity.checks.golden import check_graph
from gatelet.convert.parity.oracles.keras import ask_keras
from gatelet.convert.parity.oracles.keras_changes import CHANGES, told
from gatelet.convert.parity.oracles.keras_jobs import keras_scores_job
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.reading import read_keras_file
from gatelet.convert.reading.assembly import assembled
from gatelet.convert.reading.model_source import open_source
from gatelet.convert.rows.drawn import random_rows
from gatelet.runtime.backends.reference import ReferenceBackend
from tests.convert.reading.hostile_files import write_legacy
from tests.convert.reading.test_weights import Entry, entry

F, U, T = 3, 4, 5
pytestmark = pytest.mark.filterwarnings("ignore")


def array(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def cell(kind: str, name: str, **more: Any) -> Entry:
    """Describe a recurrent layer as Keras 2.2.4 does."""
    gates = {"activation": "tanh", "recurrent_activation": "hard_sigmoid", "implementation": 1}
    return entry(kind, name, units=U, use_bias=True, **gates, **more)


def weights_of(name: str, *prefixes: str, gates: int = 4) -> dict[str, Any]:
    shapes = {"kernel": (F, gates * U), "recurrent_kernel": (U, gates * U), "bias": (gates * U,)}
    return {
        f"{name}/{prefix}{role}:0": array(*shape)
        for prefix in prefixes
        for role, shape in shapes.items()
    }


def old_file(path: Path, first: Entry, weights: dict[str, Any], *, version: str) -> Path:
    """Write a file of one layer as an older Keras wrote it."""
    name = first["config"]["name"]
    taken = {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, T, F]}}
    masking = entry("Masking", "mask", mask_value=0.0)
    # Keras 3 fails where a stack of cells meets a mask
    masks = [] if first["class_name"] == "RNN" else [masking]
    layers = [first] if "batch_input_shape" in first["config"] else [taken, *masks, first]
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": layers}}

    def write(file: Any) -> None:
        file.attrs["keras_version"] = version
        del file["model_weights"]
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"mask", name.encode()]
        group.attrs["backend"], group.attrs["keras_version"] = "tensorflow", version
        group.create_group("mask").attrs["weight_names"] = np.zeros(0)
        own = group.create_group(name)
        own.attrs["weight_names"] = [one.encode() for one in weights]
        for one, values in weights.items():
            own[one] = values

    return write_legacy(path, config=config, weights=write)


BOTH = ("forward_gru/", "backward_gru/")
OLD: dict[str, tuple[Entry, dict[str, Any], list[str]]] = {
    "hard_sigmoid": (cell("LSTM", "l"), weights_of("l", ""), ["hard_sigmoid"]),
    "in a wrapper": (
        entry("Bidirectional", "b", merge_mode="concat", layer=cell("GRU", "gru")),
        weights_of("b", *BOTH, gates=3),
        ["hard_sigmoid", "reset_after"],
    ),
    "masked steps in a wrapper": (
        entry(
            "Bidirectional",
            "b",
            merge_mode="concat",
            layer=cell("GRU", "gru", return_sequences=True, reset_after=False),
        ),
        weights_of("b", *BOTH, gates=3),
        ["hard_sigmoid", "masked steps of Bidirectional"],
    ),
    "in a cell": (
        entry("RNN", "r", cell=entry("StackedRNNCells", "s", cells=[cell("GRUCell", "g")])),
        weights_of("r", "g/", gates=3),
        ["hard_sigmoid", "reset_after"],
    ),
    "an activation": (entry("Activation", "a", activation="hard_sigmoid"), {}, ["hard_sigmoid"]),
    "ThresholdedReLU": (entry("ThresholdedReLU", "t", theta=0.3), {}, ["ThresholdedReLU"]),
    "the first layer tells the input": (
        cell("LSTM", "l", time_major=False, batch_input_shape=[None, T, F]),
        weights_of("l", ""),
        ["hard_sigmoid"],
    ),
}


def asked(path: Path, folder: Path, features: Any, *, wrote: str) -> tuple[dict[str, Any], Any]:
    np.savez(folder / "x.npz", x_0=features)
    out = folder / "y.npz"
    answer = keras_scores_job(str(path), str(folder / "x.npz"), None, str(out), wrote=wrote)
    with np.load(out) as found:
        return answer, found["y_0"]


@pytest.mark.parametrize("case", OLD)
def test_keras_computes_a_file_as_the_keras_that_wrote_it(case: str, tmp_path: Path) -> None:
    first, weights, needed = OLD[case]
    path = old_file(tmp_path / "m.h5", first, weights, version="2.2.4")
    features = 2 * array(7, T, F)
    features[:, 3] = 0  # masked
    graph = lower(read_keras_file(path))
    (right,) = ReferenceBackend(graph).run({"features": features}).values()
    answer, scores = asked(path, tmp_path, features, wrote="2.2.4")
    assert answer == {"refusal": "", "needed": needed}
    assert np.abs(scores - right).max() < 1e-5
    assert all(name in told(needed) for name in needed)


def test_a_file_of_keras_3_is_left_as_it_is(tmp_path: Path) -> None:
    path = old_file(tmp_path / "m.h5", *OLD["hard_sigmoid"][:2], version="3.9.0")
    features = 2 * array(7, T, F)
    (right,) = ReferenceBackend(lower(read_keras_file(path))).run({"features": features}).values()
    answer, scores = asked(path, tmp_path, features, wrote="3.9.0")
    assert answer["needed"] == []
    assert np.abs(scores - right).max() < 1e-5


def test_rows_of_fewer_timesteps_than_declared_are_answered(tmp_path: Path) -> None:
    path = old_file(tmp_path / "m.h5", *OLD["in a wrapper"][:2], version="2.2.4")
    features = array(7, T - 2, F)
    (right,) = ReferenceBackend(lower(read_keras_file(path))).run({"features": features}).values()
    np.savez(tmp_path / "x.npz", x_0=features)
    out = tmp_path / "y.npz"
    answer = keras_scores_job(
        str(path), str(tmp_path / "x.npz"), None, str(out), wrote="2.2.4", rows_at_once=3
    )
    assert answer["refusal"] == ""
    with np.load(out) as found:
        assert np.abs(found["y_0"] - right).max() < 1e-5


def written_anew(one: Entry) -> Entry:
    """Describe a layer as `to_json` of Keras 3 does, which names modules."""
    config = dict(one["config"])
    if "layer" in config:
        config["layer"] = written_anew(config["layer"])
    if one["class_name"] == "GRU":
        config["reset_after"] = False
    return {**one, "config": config, "module": "keras.layers", "registered_name": None}


@pytest.mark.parametrize("case", ["hard_sigmoid", "in a wrapper", "an activation"])
def test_a_configuration_of_keras_3_beside_older_weights_means_what_those_meant(
    case: str, tmp_path: Path
) -> None:
    """The weights tell the version."""
    first, weights, _ = OLD[case]
    path = old_file(tmp_path / "m.h5", first, weights, version="2.2.4")
    layers = [
        {
            "module": "keras.layers",
            "class_name": "InputLayer",
            "registered_name": None,
            "config": {"name": "i", "batch_shape": [None, T, F], "dtype": "float32"},
        },
        written_anew(first),
    ]
    anew = {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": "Sequential",
        "config": {"name": "m", "layers": layers},
    }
    (tmp_path / "m.json").write_text(json.dumps(anew))
    source = open_source(path, config=tmp_path / "m.json")
    assert source.model.keras_version == "2.2.4"
    whole = tmp_path / "whole.h5"
    whole.write_bytes(source.keras_file or b"")
    assert read_keras_file(whole).keras_version == "2.2.4"
    features = 2 * array(7, T, F)
    (right,) = ReferenceBackend(lower(source.model)).run({"features": features}).values()
    answer, scores = asked(whole, tmp_path, features, wrote="2.2.4")
    assert answer["needed"] == ["hard_sigmoid"]
    assert np.abs(scores - right).max() < 1e-5


class InProcess:
    """Runs the worker's functions here, and may forget what is put in."""

    def __init__(self, folder: Path, *, forgets: bool = False) -> None:
        self.folder, self.forgets = folder, forgets

    def exchange(self) -> Any:
        import contextlib

        return contextlib.nullcontext(self.folder)

    def call(self, function: str, arguments: dict[str, Any], *, step: str) -> Any:
        if self.forgets:
            arguments = {**arguments, "wrote": ""}
        return keras_scores_job(**arguments)


class DraftOf:
    """As much of a bundle as the oracle of Keras asks for."""

    def __init__(self, path: Path, wrote: str) -> None:
        self.manifest = {"provenance": {"keras_of_model": wrote}}
        self.path = path

    def graph(self) -> Any:
        return lower(read_keras_file(self.path))


@pytest.mark.parametrize("forgets", [False, True], ids=["put in", "forgotten"])
def test_the_check_says_what_was_put_in_and_stays_a_real_one(
    tmp_path: Path, *, forgets: bool
) -> None:
    path = old_file(tmp_path / "m.h5", *OLD["hard_sigmoid"][:2], version="2.2.4")
    bundle: Any = DraftOf(path, "2.2.4")
    oracle = Oracle.of(bundle.graph(), random_rows(bundle.graph(), None, {"features": T}, rows=9))
    worker: Any = InProcess(tmp_path, forgets=forgets)
    asked = ask_keras(
        oracle, path.read_bytes(), worker, bundle=bundle, texts=(), progress=lambda text: None
    )
    (check,) = check_graph(bundle, asked, None)
    assert check.verdict == ("fail" if forgets else "pass")
    assert ("hard_sigmoid: 0.2 x + 0.5" in check.note) != forgets


def test_a_difference_that_no_version_explains_still_fails(tmp_path: Path) -> None:
    path = old_file(tmp_path / "m.h5", *OLD["hard_sigmoid"][:2], version="2.2.4")
    bundle: Any = DraftOf(path, "2.2.4")
    oracle = Oracle.of(bundle.graph(), random_rows(bundle.graph(), None, {"features": T}, rows=9))
    wrong = replace(oracle, scores=oracle.scores + 0.01)
    worker: Any = InProcess(tmp_path)
    asked = ask_keras(
        wrong, path.read_bytes(), worker, bundle=bundle, texts=(), progress=lambda text: None
    )
    (check,) = check_graph(bundle, asked, None)
    assert check.verdict == "fail"


def test_each_change_has_a_name_a_version_and_what_differs() -> None:
    assert len({one.name for one in CHANGES}) == len(CHANGES) >= 3
    assert all(one.before >= (2, 4) and one.differs for one in CHANGES)


def connected(one: Entry, *inputs: str) -> Entry:
    """Return a layer's entry in a functional model of Keras 2."""
    nodes = [[[name, 0, 0, {}] for name in inputs]] if inputs else []
    return {**one, "name": one["config"]["name"], "inbound_nodes": nodes}


def taken(name: str, *shape: int) -> Entry:
    settings = {"name": name, "batch_input_shape": [None, *shape], "dtype": "float32"}
    return connected({"class_name": "InputLayer", "config": settings})


MASKED = entry("Masking", "m", mask_value=0.0)
AGAIN = entry("Masking", "n", mask_value=0.0)
RECURRENT = entry("SimpleRNN", "r", units=U, activation="tanh", use_bias=True)
X = taken("x", T, F)
NOT_PUT_IN: dict[str, tuple[list[Entry], str]] = {
    "masks and initial states": (
        [X, taken("h", U), connected(MASKED, "x"), connected(RECURRENT, "m", "h")],
        "2.2.4",
    ),
    "masks behind Normalization and Rescaling": (
        [
            X,
            connected(MASKED, "x"),
            connected(entry("Rescaling", "s", scale=0.5, offset=0.1), "m"),
            connected(RECURRENT, "s"),
        ],
        "2.7.0",
    ),
    "masks of merging layers": (
        [
            X,
            taken("y", T, F),
            connected(MASKED, "x"),
            connected(AGAIN, "y"),
            connected(entry("Add", "a"), "m", "n"),
            connected(RECURRENT, "a"),
        ],
        "2.2.4",
    ),
}


@pytest.mark.parametrize("change", NOT_PUT_IN)
def test_rules_that_cannot_be_put_in_leave_the_graph_to_judge(change: str, tmp_path: Path) -> None:
    layers, version = NOT_PUT_IN[change]
    names = [layer["name"] for layer in layers]
    given = [one["name"] for one in layers if one["class_name"] == "InputLayer"]
    settings = {
        "name": "d",
        "layers": layers,
        "input_layers": [[name, 0, 0] for name in given],
        "output_layers": [["r", 0, 0]],
    }
    weights = weights_of("r", "", gates=1)

    def write(file: Any) -> None:
        file.attrs["keras_version"] = version
        del file["model_weights"]
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in names]
        group.attrs["backend"], group.attrs["keras_version"] = "tensorflow", version
        for name in names[:-1]:
            group.create_group(name).attrs["weight_names"] = np.zeros(0)
        own = group.create_group("r")
        own.attrs["weight_names"] = [one.encode() for one in weights]
        for one, values in weights.items():
            own[one] = values

    config = {"class_name": "Model", "config": settings, "keras_version": version}
    path = write_legacy(tmp_path / "m.h5", config=config, weights=write)
    bundle: Any = DraftOf(path, version)
    graph = bundle.graph()
    timesteps = {one.name: T for one in graph.inputs if one.name != "h"}
    rows = random_rows(graph, None, timesteps, rows=40)
    # padded behind, where a recurrence that does not obey the mask goes on
    rows.feed[graph.inputs[0].name][:, 2:] = 0
    oracle = Oracle.of(graph, rows)
    worker: Any = InProcess(tmp_path)
    asked = ask_keras(
        oracle, path.read_bytes(), worker, bundle=bundle, texts=(), progress=lambda text: None
    )
    assert asked.keras_refusal == ""
    (check,) = check_graph(bundle, asked, None)
    assert check.verdict == "not checked"
    assert change in check.note


def test_weights_and_a_configuration_become_a_file_of_their_own_version(tmp_path: Path) -> None:
    path = old_file(tmp_path / "m.h5", *OLD["hard_sigmoid"][:2], version="2.2.4")
    import h5py

    flat = tmp_path / "flat.h5"
    with h5py.File(path) as whole, h5py.File(flat, "w") as file:
        config = whole.attrs["model_config"]
        for key, value in whole["model_weights"].attrs.items():
            file.attrs[key] = value
        for key in whole["model_weights"]:
            whole["model_weights"].copy(key, file)
    again = tmp_path / "again.h5"
    again.write_bytes(assembled(config, flat.read_bytes(), keras_version="2.2.4"))
    one, other = (read_keras_file(each).layers["l"].weights for each in (path, again))
    assert all(map(np.array_equal, one, other))
