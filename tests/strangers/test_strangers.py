"""Recurrent models that strangers trained and published convert, or are refused in few words.

GATELET_STRANGERS=DIR names the folder; without it these are skipped. `figures.py` beside this
made what Keras, in the version that wrote each file, gives for the same inputs.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.reading.model_source import open_source
from gatelet.runtime import load, open_bundle
from gatelet.runtime.backends.reference import ReferenceBackend
from tests.strangers.figures import FIGURES, REFUSED, ids_of, models_in, sampled, seeded_inputs

FOLDER = os.environ.get("GATELET_STRANGERS")
MOST_BYTES = 2 * 2**30
MOST_PROCESSOR_S = 120.0
LONGEST_MESSAGE = 300
FLOAT32_FLOOR, FLOAT32_FACTOR = 1e-4, 8
"""Of the model's own distance from float64: both the artifact and Keras are that far from it."""

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(FOLDER is None, reason="GATELET_STRANGERS names no folder of models"),
]
MODELS = list(models_in(Path(FOLDER))) if FOLDER else []
CONVERTED = [one for one in MODELS if one[0].name[:2] not in REFUSED]
WAYS_OUT = {
    "15": r"layer 'attention' \(AttentionLayer\) has a weight 'att_weight', .*custom_objects",
    "16": r"those of 'dense_8', 'dense_9' are missing: .*save it again",
    "18": r"layer 'attention' \(Attention\) cannot be lowered: .*--route keras",
    "20": r"layer 'max_pooling3d_8' \(MaxPooling3D\) cannot be lowered: .*--route keras",
    "21": r"layer 'attention' \(Attention\) cannot be lowered: .*--route keras",
}


class Ran(NamedTuple):
    """What a process left."""

    exit_code: int
    error: str
    processor_s: float
    most_bytes: int


def run_convert(model: Path, config: Path | None, out: Path) -> Ran:
    """Convert in a process of its own, and measure it with all that it started."""
    command = [sys.executable, "-m", "gatelet", "convert", str(model), "--out", str(out)]
    command += ["--config", str(config)] if config is not None else []
    said = out.with_suffix(".txt")
    with said.open("wb") as file:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Ran(
        process.returncode, said.read_text(), used.ru_utime + used.ru_stime, 1024 * used.ru_maxrss
    )


def limit_of(graph: Any, feed: dict[str, Any]) -> float:
    """Return the limit of float32 for these inputs."""
    single, double = (
        list(ReferenceBackend(graph, dtype=dtype).run(feed).values())
        for dtype in (np.float32, np.float64)
    )
    own = max(float(difference(*pair).max()) for pair in zip(single, double, strict=True))
    return max(FLOAT32_FLOOR, FLOAT32_FACTOR * own)


@pytest.mark.parametrize(("model", "config"), CONVERTED, ids=[one[0].name for one in CONVERTED])
def test_a_strangers_model_converts(tmp_path: Path, model: Path, config: Path | None) -> None:
    ran = run_convert(model, config, tmp_path / "bundle")
    assert ran.exit_code == 0, ran.error
    assert ran.processor_s <= MOST_PROCESSOR_S
    assert ran.most_bytes <= MOST_BYTES
    bundle = open_bundle(tmp_path / "bundle")
    verdicts = {
        one.target: one.parity["verdict"] for one in bundle.artifacts if one.scheme == "float32"
    }
    assert verdicts == dict.fromkeys(("c", "litert", "onnx"), "pass")
    source = open_source(model, config=config).model
    given = seeded_inputs(source, ids_of(source))
    graph = bundle.graph()
    feed = {one.name: array for one, array in zip(graph.inputs, given, strict=True)}
    expected = json.loads(FIGURES.read_text("utf-8"))[model.name]["outputs"]
    limit = limit_of(graph, feed)
    for target in (*verdicts, "reference"):
        found = load(bundle.path, target=target).scores(feed if len(feed) > 1 else given[0])
        outputs = list(found.values()) if isinstance(found, dict) else [found]
        for ours, right in zip(sampled(list(map(np.asarray, outputs))), expected, strict=True):
            apart = difference(np.array(ours), np.array(right)).max()
            assert apart <= limit, f"{target} is {apart:.2e} from Keras, the limit is {limit:.1e}"


@pytest.mark.parametrize(
    "model", [one for one, _ in MODELS if one.name[:2] in WAYS_OUT], ids=lambda one: one.name
)
def test_what_is_refused_names_layer_reason_and_way_out(tmp_path: Path, model: Path) -> None:
    ran = run_convert(model, None, tmp_path / "bundle")
    message = ran.error.strip().splitlines()[-1]
    assert ran.exit_code == 1
    assert re.search(WAYS_OUT[model.name[:2]], message)
    assert len(message) <= LONGEST_MESSAGE
    assert not (tmp_path / "bundle").exists()
    assert ran.most_bytes <= MOST_BYTES
