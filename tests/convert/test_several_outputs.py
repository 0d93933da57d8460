"""Models with several outputs: each score is judged, and what is decided of each output."""

from pathlib import Path
from typing import Any

import pytest

from gatelet.convert import convert_with_report

# Keras' own variables, under NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def save_two_headed(keras: Any, path: Path) -> Path:
    """Save a model of ids and features, of different lengths, whose first output is a softmax."""
    keras.utils.set_random_seed(3)
    ids, features = keras.Input((None,), dtype="int32"), keras.Input((None, 4))
    words = keras.layers.LSTM(5)(keras.layers.Embedding(30, 6, mask_zero=True)(ids))
    both = keras.layers.Concatenate()([words, keras.layers.GRU(3)(features)])
    heads = [keras.layers.Dense(3, activation="softmax")(both), keras.layers.Dense(2)(both)]
    keras.Model([ids, features], heads).save(path)
    return path


def test_a_softmax_and_numbers_beside_it_are_judged_as_scores(keras: Any, tmp_path: Path) -> None:
    model = save_two_headed(keras, tmp_path / "m.keras")
    bundle, report = convert_with_report(
        model, tmp_path / "b", targets=["onnx"], schemes=["float32"]
    )
    assert report.verdict == "pass"
    assert bundle.labels == ("0", "1", "2")
    names = {check.name for check in report.artifacts[0].checks}
    assert {"scores_max", "flips", "labels_reached"} <= names
    assert [one.labels for one in bundle.decisions] == [bundle.labels]
