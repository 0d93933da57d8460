"""An onnx-text file in onnxruntime-node and onnxruntime-web gives what it gives in Python.

CI must have both: GATELET_BROWSER=required makes their absence an error.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np
import pytest

from gatelet.runtime.vectorizer.surrogates import as_utf8
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.test_onnx_text import OPTIONS, opened, texts
from tests.runtime.test_vectorizer_keras import MAXLEN

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
CASES = ("as Keras does", "characters", "case counts")

EXCEPTIONS: dict[str, Callable[[str, bool], bool]] = {
    "onnxruntime's JavaScript bindings end a string at a NUL": lambda text, alike: "\0" in text,
    "two halves of a pair side by side are one character in JavaScript": lambda text, alike: (
        re.search("[\ud800-\udbff][\udc00-\udfff]", text) is not None
    ),
    "a letter that is newer than Python's Unicode data has a lower case in JavaScript": (
        lambda text, alike: not alike and any(category(one) == "Cn" for one in text)
    ),
}
"""Why ids may differ in JavaScript; whether that holds for a text, lower-cased alike or not.

In Python there are no exceptions."""


def engines() -> dict[str, list[str]]:
    """Return the command of each engine; fail or skip where one is missing."""
    node = shutil.which("node")
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if node and chromium and (HERE / "node_modules").is_dir():
        return {"node": [node, "node.mjs"], "web": [node, "web.mjs", chromium]}
    said = "needs node, chromium, and npm ci --ignore-scripts in tests/javascript"
    if os.environ.get("GATELET_BROWSER") == "required":
        pytest.fail(said)
    pytest.skip(said)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[dict[str, Any]]]]:
    """Write the cases, and what Python gives for them."""
    engines()
    folder = tmp_path_factory.mktemp("cases")
    cases, expected = [], []
    for number, name in enumerate(CASES):
        vectorizer = Vectorizer.fit(texts(), maxlen=MAXLEN, **OPTIONS[name])
        place = folder / str(number)
        place.mkdir()
        graph, backend = opened(place, vectorizer)
        cases.append({"model": str(place / "model.onnx"), "lower": vectorizer.lower})
        rows = []
        for text in texts():
            given = text.lower() if vectorizer.lower else text
            (scores,) = np.asarray(backend.run({"text": [given]})[graph.outputs[0]])
            ids = vectorizer.pad(text)
            rows.append({"given": as_utf8(given), "ids": ids, "scores": scores.tolist()})
        expected.append(rows)
    path = folder / "cases.json"
    path.write_text(json.dumps({"cases": cases, "texts": texts()}), "ascii")
    return path, expected


@pytest.mark.parametrize("engine", ["node", "web"])
def test_ids_and_scores_of_hostile_texts_are_those_of_python(
    engine: str, asked: tuple[Path, list[list[dict[str, Any]]]]
) -> None:
    path, expected = asked
    command = [*engines()[engine], str(path)]
    done = subprocess.run(command, cwd=HERE, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    compared = 0
    for rows, wanted in zip(json.loads(done.stdout), expected, strict=True):
        for text, row, want in zip(texts(), rows, wanted, strict=True):
            alike = row["given"] == want["given"]
            if any(holds(text, alike) for holds in EXCEPTIONS.values()):
                continue
            assert row["ids"] == want["ids"], ascii(text[:200])
            assert np.abs(np.array(row["scores"]) - want["scores"]).max() <= 1e-5
            compared += 1
    assert compared > 0.7 * len(CASES) * len(texts())
