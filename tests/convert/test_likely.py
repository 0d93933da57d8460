"""Made-up rows are rows that a model could meet: its own ranges, one-hot, its own padding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.lowering import lower
from gatelet.convert.parity.checks.behaviour import odd_lengths
from gatelet.convert.reading import read_keras_file
from gatelet.convert.reading.source import SourceModel
from gatelet.convert.rows.drawn import random_rows
from gatelet.convert.rows.likely import Likely, likely_inputs, read_likely
from tests.convert.reading.hostile_files import write_keras
from tests.convert.reading.test_weights import Entry, entry, sequential

F, U = 3, 4


def array(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def model_of(tmp_path: Path, config: Entry, weights: dict[str, list[Any]]) -> SourceModel:
    """Write and read a model; weights by the group's name."""

    def write(file: Any) -> None:
        for group, arrays in weights.items():
            for index, one in enumerate(arrays):
                file[f"layers/{group}/vars/{index}"] = one

    return read_keras_file(write_keras(tmp_path / "m.keras", config=config, weights=write))


def lstm(name: str = "l", **more: Any) -> Entry:
    return entry("LSTM", name, units=U, **more)


def cell(features: int) -> dict[str, list[Any]]:
    return {"lstm/cell": [array(features, 4 * U), array(U, 4 * U), array(4 * U)]}


def told(model: SourceModel) -> Likely:
    return likely_inputs(model, lower(model))["features"]


MEAN, VARIANCE = np.array([5, -200, 0.01], "f4"), np.array([4, 900, 1e-6], "f4")
HALF = entry("Rescaling", "r", scale=0.5, offset=1.0)
FIRST: dict[str, tuple[Entry | tuple[Entry, ...], list[Any], Any, Any]] = {
    "Normalization": (entry("Normalization", "n", axis=-1), [MEAN, VARIANCE], MEAN, VARIANCE),
    "given statistics": (
        entry("Normalization", "n", axis=-1, mean=MEAN.tolist(), variance=VARIANCE.tolist()),
        [],
        MEAN,
        VARIANCE,
    ),
    "Rescaling": (entry("Rescaling", "n", scale=0.01, offset=-1.0), [], 100.0, 100.0**2),
    # gamma and beta say how the layers behind it like their numbers, not what is fed
    "BatchNormalization": (
        entry("BatchNormalization", "n", axis=-1),
        [np.full(F, 9.0, "f4"), np.full(F, -3.0, "f4"), MEAN, VARIANCE],
        MEAN,
        VARIANCE,
    ),
    "BatchNormalization of statistics alone": (
        entry("BatchNormalization", "n", axis=-1, scale=False, center=False),
        [MEAN, VARIANCE],
        MEAN,
        VARIANCE,
    ),
    "BatchNormalization behind Rescaling": (
        (HALF, entry("BatchNormalization", "n", axis=-1, scale=False, center=False)),
        [MEAN, VARIANCE],
        (MEAN - 1) / 0.5,
        VARIANCE / 0.5**2,
    ),
}


@pytest.mark.parametrize("case", FIRST)
def test_rows_are_in_the_range_that_the_first_layer_normalizes(tmp_path: Path, case: str) -> None:
    layer, weights, mean, variance = FIRST[case]
    groups = {
        "normalization": weights if "orm" in case else [],
        "batch_normalization": weights if case.startswith("Batch") else [],
        **cell(F),
    }
    layers = layer if isinstance(layer, tuple) else (layer,)
    model = model_of(tmp_path, sequential(*layers, lstm(), shape=(None, 6, F)), groups)
    graph, likely = lower(model), likely_inputs(model, lower(model))
    rows = random_rows(graph, None, {"features": 6}, rows=2000, likely=likely).feed["features"]
    real = rows[:, -1]
    wide = np.sqrt(np.broadcast_to(variance, F))
    assert np.abs(real.mean(axis=0) - mean).max() <= 0.1 * wide.max()
    np.testing.assert_allclose(real.std(axis=0), wide, rtol=0.1)
    np.testing.assert_allclose(rows[0, 0], np.broadcast_to(mean, F), rtol=1e-5)
    (odd, *_) = odd_lengths(
        graph, random_rows(graph, None, {}, likely=likely), padding=pads(likely)
    )
    np.testing.assert_allclose(odd.feed["features"][0, 0], np.broadcast_to(mean, F), rtol=1e-5)


def pads(likely: dict[str, Likely]) -> dict[str, Any]:
    return {name: one.padding for name, one in likely.items()}


def test_padding_is_what_the_model_masks(tmp_path: Path) -> None:
    scaling = entry("Rescaling", "r", scale=0.5, offset=1.0)
    config = sequential(scaling, entry("Masking", "m", mask_value=-4.0), lstm(), shape=(None, 6, F))
    found = told(model_of(tmp_path, config, cell(F)))
    assert float(np.max(found.padding)) == -10.0
    assert float(np.max(found.mean)) == -2.0


def test_the_manifest_keeps_what_is_likely_and_another_form_is_left_out(tmp_path: Path) -> None:
    found = told(
        model_of(
            tmp_path,
            sequential(entry("Normalization", "n", axis=-1), lstm()),
            {"normalization": [MEAN, VARIANCE], **cell(F)},
        )
    )
    manifest = {"provenance": {"inputs": {"features": found.to_json(), "x": {"kind": 1}, "y": 3}}}
    (read,) = read_likely(manifest).values()
    np.testing.assert_allclose(np.broadcast_to(read.mean, (1, F)), [MEAN], rtol=1e-6)
    assert read_likely({}) == read_likely({"provenance": 3}) == {}


def functional(layers: list[Entry], outputs: list[Any]) -> Entry:
    inputs = [[one["config"]["name"], 0, 0] for one in layers if one["class_name"] == "InputLayer"]
    entries = [{"inbound_nodes": [], "name": one["config"]["name"], **one} for one in layers]
    settings = {"name": "m", "layers": entries, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Functional", "config": settings}


def taken(name: str, *shape: int | None) -> Entry:
    return {"class_name": "InputLayer", "config": {"name": name, "batch_shape": [None, *shape]}}


def recurrent(width: int, timesteps: int | None, classes: int, *, states: bool) -> Entry:
    """Return a decoder whose states are fed, an encoder that gives states, or a classifier."""
    cells = [taken("h", U), taken("c", U)] if states else []
    fed = [["x", 0, 0, {}], *([["h", 0, 0, {}], ["c", 0, 0, {}]] if states else [])]
    layer = {**lstm(return_state=classes == 0 or states), "inbound_nodes": [fed]}
    if classes == 0:
        return functional(
            [taken("x", timesteps, width), *cells, layer], [["l", 0, i] for i in (1, 2)]
        )
    dense = {
        **entry("Dense", "d", units=classes, activation="softmax"),
        "inbound_nodes": [[["l", 0, 0, {}]]],
    }
    return functional([taken("x", timesteps, width), *cells, layer, dense], [["d", 0, 0]])


ONE_HOT = {
    "feeds back its own choice": (recurrent(12, 5, 12, states=True), True),
    "an encoder over a vocabulary": (recurrent(40, None, 0, states=False), True),
    "far wider than its units": (recurrent(64, None, 2, states=False), True),
    "as many classes as features, but few": (recurrent(5, 5, 5, states=False), False),
    "sensors of a fixed length": (recurrent(64, 30, 2, states=False), False),
    "an encoder over few features": (recurrent(6, None, 0, states=False), False),
}


@pytest.mark.parametrize("case", ONE_HOT)
def test_one_hot_where_the_input_is_as_wide_as_a_vocabulary(tmp_path: Path, case: str) -> None:
    config, expected = ONE_HOT[case]
    width = config["config"]["layers"][0]["config"]["batch_shape"][-1]
    dense = [layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense"]
    units = dense[0]["config"]["units"] if dense else 1
    weights = {**cell(width), "dense": [array(U, units), array(units)]}
    model = model_of(tmp_path, config, weights)
    graph = lower(model)
    likely = likely_inputs(model, graph)
    rows = random_rows(graph, None, {"features": 9}, likely=likely).feed
    features = rows["features"][1:]
    is_one_hot = set(np.unique(features)) == {0.0, 1.0} and features.sum(axis=-1).max() == 1
    assert is_one_hot == expected
    if len(rows) > 1:
        states = rows["features_1"]
        assert np.abs(states).max() < 1
        assert np.abs(rows["features_2"]).max() > 1
