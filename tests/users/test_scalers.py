"""A scaler that stood outside the model goes in: the bundle takes raw units and answers in them."""

import json
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from gatelet.convert import convert
from gatelet.convert.reading.scaling import read_scaling
from gatelet.errors import ConfigError, ConversionError, ModelError
from gatelet.runtime import load
from tests.late import keras, layers

# Keras' own, with NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RunCli = Callable[..., Any]
Array = NDArray[Any]
T, F = 6, 3
OFFSETS = np.array([1e5, -3.0, 1013.25])  # float32 has steps of 0.0078 at 100,000
SPREADS = np.array([0.01, 2.0, 8.0])
ROWS = np.random.default_rng(7).normal(size=(64, T, F)) * SPREADS + OFFSETS


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(1)
    x = keras.Input((T, F))
    path = tmp_path_factory.mktemp("model") / "model.keras"
    keras.Model(x, layers.Dense(2)(layers.LSTM(4)(x))).save(path)
    return path


def expected(model: Path, rows: Array, inputs: Any, outputs: Any) -> Array:
    """Return scaler + Keras + scaler, of the float32 values that an engine is fed."""
    raw = rows.astype(np.float32).astype(np.float64).reshape(-1, F)
    ready = inputs.transform(raw).reshape(rows.shape).astype(np.float32)
    found = np.asarray(keras.models.load_model(model)(ready))
    return np.asarray(outputs.inverse_transform(found.astype(np.float64)))


FITTED = {
    "standard": StandardScaler,
    "minmax": MinMaxScaler,
    "minmax to -1 and 1": lambda: MinMaxScaler((-1, 1)),
}


@pytest.mark.parametrize("name", FITTED)
def test_raw_units_go_in_and_come_out(tmp_path: Path, model: Path, name: str) -> None:
    inputs = FITTED[name]().fit(ROWS.reshape(-1, F))
    answers = np.random.default_rng(1).normal(size=(50, 2)) * [8.0, 40.0] + [1e5, -7.0]
    outputs = FITTED[name]().fit(answers)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(inputs))
    joblib.dump(outputs, tmp_path / "y.joblib", compress=3)
    bundle = convert(
        *(model, tmp_path / "out"),
        targets=["onnx"],
        schemes=["float32"],
        scale=[str(tmp_path / "x.pkl"), f"outputs={tmp_path / 'y.joblib'}"],
        with_keras=False,
    )
    assert bundle.verdict == "pass"
    found = np.asarray(load(tmp_path / "out").scores(ROWS.astype(np.float32)))
    wanted = expected(model, ROWS, inputs, outputs)
    spread = np.maximum(wanted.std(axis=0), 0.01 * np.abs(wanted).max(axis=0))
    assert np.abs((found - wanted) / spread).max() < 1e-5


def test_float16_that_would_round_a_mean_away_is_refused(tmp_path: Path, model: Path) -> None:
    (tmp_path / "scale.json").write_text(json.dumps(JSON))
    with pytest.raises(ConversionError, match="float16 would move the mean of a feature by inf"):
        convert(
            *(model, tmp_path / "out"),
            targets=["litert"],
            schemes=["float16"],
            scale=[str(tmp_path / "scale.json")],
        )


@pytest.mark.ci  # three exporters and a compiler
def test_every_target_and_scheme_that_takes_the_model_takes_raw_units(
    tmp_path: Path, model: Path
) -> None:
    (tmp_path / "scale.json").write_text(json.dumps(JSON))
    bundle = convert(
        *(model, tmp_path / "out"),
        targets=["c", "litert", "onnx"],
        schemes=["all"],
        scale=[str(tmp_path / "scale.json")],
        with_keras=False,
    )
    made = [(one.target, one.scheme) for one in bundle.artifacts]
    assert {target for target, _ in made} == {"c", "litert", "onnx"} and len(made) > 5
    ready = ((ROWS.astype(np.float32).astype(float) - OFFSETS) / SPREADS).astype(np.float32)
    wanted = np.asarray(keras.models.load_model(model)(ready)).astype(float) * 5 + 10
    for target, scheme in made:
        found = load(tmp_path / "out", target=target, scheme=scheme).scores(ROWS.astype(np.float32))
        apart = np.abs(np.asarray(found) - wanted).max() / wanted.std()
        most = {"float32": 1e-5, "full-int8": 0.2}.get(scheme, 0.1)
        assert apart < most, (target, scheme, apart)
    (header,) = (
        one.companions["header"]
        for one in bundle.artifacts
        if (one.target, one.scheme) == ("c", "float32")
    )
    text = (tmp_path / "out" / header).read_text()
    assert " * Units: inputs in Pa, m/s, hPa; outputs in ug/m3.\n */" in text


JSON: Mapping[str, Any] = {
    "inputs": {
        "kind": "standard",
        "mean": OFFSETS.tolist(),
        "scale": SPREADS.tolist(),
        "unit": ["Pa", "m/s", "hPa"],
    },
    "outputs": {"kind": "minmax", "min": [10], "scale": [5], "unit": ["ug/m3"]},
}


@pytest.mark.ci  # Keras in a process of its own
def test_json_is_held_against_keras_and_names_units(
    cli: RunCli, tmp_path: Path, model: Path
) -> None:
    (tmp_path / "scale.json").write_text(json.dumps(JSON))
    done = cli(
        *("convert", model, "--out", tmp_path / "out", "--target", "onnx", "--scheme", "float32"),
        *("--scale", tmp_path / "scale.json", "--json"),
    )
    assert done.code == 0, done.err
    (artifact,) = json.loads(done.out)["artifacts"]
    checks = {one["name"]: one for one in artifact["checks"]}
    assert checks["scores_max_keras"]["verdict"] == "pass"
    assert checks["scores_max_keras"]["limit"] < 1e-3  # a unit of 100,000 is a spread of its own
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["scale"] == JSON
    np.savez(tmp_path / "x.npz", x=ROWS[:2].astype(np.float32))
    done = cli("predict", tmp_path / "out", "--file", tmp_path / "x.npz")
    assert done.err.splitlines()[1:] == ["inputs in Pa, m/s, hPa", "outputs in ug/m3"]
    assert cli("parity", tmp_path / "out", "--json").code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[1, 2]", "holds no scalers: expected"),
        ('{"inputs": {"kind": "robust"}}', "has no 'kind' of 'standard' or 'minmax'"),
        ('{"inputs": {"kind": "minmax", "mean": [1], "scale": [1]}}', "the unknown field 'mean'"),
        ('{"inputs": {"kind": "standard", "mean": [1], "scale": [0]}}', "is 0 for feature 0"),
        ('{"inputs": {"kind": "standard", "mean": ["a"], "scale": [1]}}', "a list of finite num"),
        ('{"inputs": {"kind": "standard", "mean": [1, 2], "scale": [1]}}', "have 2, 1 and 0 val"),
        ("mean,std", "cannot be read: Expecting value"),
    ],
)
def test_what_is_no_scaler_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "scale.json").write_text(content)
    with pytest.raises(ModelError, match=said):
        read_scaling([str(tmp_path / "scale.json")])


def test_a_scaler_that_cannot_be_the_models_is_refused(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "scale.json"
    entry = {"kind": "standard", "mean": [1.0, 2.0], "scale": [1.0, 2.0]}
    path.write_text(json.dumps({"inputs": entry}))
    with pytest.raises(ConfigError, match="the scaler has 2 features, the model 3"):
        convert(model, tmp_path / "out", scale=[str(path)])
    three = {"kind": "standard", "mean": [1, 2, 3], "scale": [1, 1, 1]}
    path.write_text(json.dumps({"outputs": three}))
    with pytest.raises(ConfigError, match="the scaler has 3 outputs, the model 2"):
        convert(model, tmp_path / "out", scale=[str(path)])
    large = {"kind": "standard", "mean": [1e5, 0], "scale": [0.01, 1]}
    (tmp_path / "large.json").write_text(json.dumps({"outputs": large}))
    with pytest.raises(ConfigError, match=r"0.01 around 100000, where float32 has steps of 0.0078"):
        convert(model, tmp_path / "out", scale=[str(tmp_path / "large.json")])
    with pytest.raises(ConfigError, match="gives the scaler of the outputs twice"):
        convert(model, tmp_path / "out", scale=[str(path), str(path)])
    x = keras.Input((T, F))
    masked = keras.Model(x, layers.LSTM(2)(layers.Masking()(x)))
    path.write_text(json.dumps({"inputs": three}))
    with pytest.raises(ConfigError, match="it masks by scaled values"):
        convert(masked, tmp_path / "out", scale=[str(path)])
    clipping = MinMaxScaler(clip=True).fit(ROWS.reshape(-1, F))
    path.write_bytes(pickle.dumps(clipping))
    with pytest.raises(ModelError, match="clips, which no layer does"):
        read_scaling([str(path)])
    assert not (tmp_path / "out").exists()
