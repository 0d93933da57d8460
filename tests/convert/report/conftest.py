"""A story for the report's tests: a tiny bundle that was really judged, with rows of its own."""

import html.parser
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.parity.measured import Measured
from gatelet.convert.proving import prove
from gatelet.convert.report import Story
from gatelet.runtime.bundle.opening import Bundle, open_bundle
from gatelet.runtime.data.dataset import Dataset

HOSTILE = (
    "<script>alert(1)</script><img src=http://x onerror=alert(2)>",
    "\"><svg onload=alert(3)>&amp;&lt; ' --> ]]>",
    "safe \u202e\u2066txet desrever\u2069 \ufeff end",
    "nul \0 bell \a escape \x1b[31m \r\n\t",
    "lone \ud800 and \udfff surrogates \uffff",
    "w1 " * 33_334,
    "z" + "\u0301" * 500,
    "",
)
LATENCIES = {("onnx", "float32"): [90.0, 100.0, 110.0, 4000.0]}
TellStory = Callable[..., Story]


@dataclass
class Page(html.parser.HTMLParser):
    """What a page holds, read as a browser would."""

    text: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    shown: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.shown += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="session")
def judged(written_bundle: Path) -> Story:
    """Judge the tiny bundle on labelled texts."""
    bundle = open_bundle(written_bundle)
    texts = tuple(f"w{i % 48 + 1} w{i % 5 + 1} odd{i} w{i % 11 + 1}" for i in range(1_200))
    labels = tuple(str(i % 2) for i in range(1_200))
    data = Dataset(texts, labels, "rows.csv")
    report = prove(bundle, data, with_keras=False)
    return Story(bundle, report, report.measured, LATENCIES, "rows.csv", "Made by a test.")


@pytest.fixture(scope="session")
def tell(judged: Story) -> TellStory:
    """Return a function that tells the story with other rows: scores by the oracle's, or texts."""

    def tell(
        *,
        oracle: Any = None,
        scores: Any = None,
        truth: Any = None,
        texts: tuple[str, ...] | None = None,
        bundle: Bundle | None = None,
    ) -> Story:
        measured = judged.measured
        assert measured is not None
        if texts is not None:
            measured = _with_texts(measured, texts)
        if oracle is not None:
            found = oracle if scores is None else scores
            artifacts = {("onnx", "float32"): np.asarray(found, np.float32)}
            texts = tuple(measured.texts[row % 1_200] for row in range(len(oracle)))
            measured = replace(
                measured,
                texts=texts,
                oracle=np.asarray(oracle, np.float64),
                scores=artifacts,
                truth=truth,
            )
        return replace(judged, measured=measured, bundle=bundle or judged.bundle)

    return tell


def on_devices(bundle: Bundle) -> Bundle:
    """Return the bundle as if its first artifact had been verified on devices, one of any name."""

    def entry(device: str, verdict: str, **more: Any) -> dict[str, Any]:
        return {"device": device, "verdict": verdict, "rows": 8, "when": "", **more}

    count = {"row": 222_913_00, "timesteps": 100, "timestep": 222_913}
    found = [
        entry("pico", "pass", flash_bytes=11_516, count={**count, "unit": "instructions"}),
        entry("mega-2560", "fail", stack_bytes=676, count={**count, "unit": "cycles"}),
        entry("nano", "pass", compiler="gcc", count={"unit": "instructions", "timestep": 9_123}),
        entry("of another source", "pass", source_sha256="0" * 64),
        entry(HOSTILE[0] * 3, "does not fit", flash_bytes="many", count={"timestep": "some"}),
    ]
    first, *others = bundle.artifacts
    first = replace(first, entry={**first.entry, "devices": found})
    return replace(bundle, artifacts=(first, *others))


def _with_texts(measured: Measured, texts: tuple[str, ...]) -> Measured:
    """Put texts in the place of the first rows, and make those the worst."""
    scores = {key: array.copy() for key, array in measured.scores.items()}
    for array in scores.values():
        array[: len(texts)] = 1 - measured.oracle[: len(texts)]
    return replace(measured, texts=(*texts, *list(measured.texts)[len(texts) :]), scores=scores)
