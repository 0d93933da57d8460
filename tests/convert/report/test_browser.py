"""The report in headless Chromium: no request, no message, readable, and nothing for axe-core.

CI must have the browser: GATELET_BROWSER=required makes its absence an error.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gatelet.cli import main
from gatelet.convert.report import Story, page
from tests.conftest import Quickstart
from tests.convert.report.conftest import HOSTILE, TellStory, on_devices

pytestmark = pytest.mark.browser

TOOLS = Path(__file__).with_name("browser")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
MAX_BYTES = 500_000
MIN_TEXT_PIXELS = 11
LOOKS = [(360, "light"), (360, "dark"), (1400, "light"), (1400, "dark")]
Look = Callable[[Path], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def look() -> Look:
    """Return a function that opens a page at two widths, light and dark, and tells what it saw."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    node = shutil.which("node")
    missing = [
        what
        for what, there in (
            ("Chromium (apt-get install chromium)", chromium),
            ("Node.js (apt-get install nodejs npm)", node),
            (
                f"axe-core (npm ci --ignore-scripts in {TOOLS.name}/)",
                (TOOLS / "node_modules").is_dir(),
            ),
        )
        if not there
    ]
    if missing:
        said = f"not installed: {', '.join(missing)}"
        if os.environ.get("GATELET_BROWSER") == "required":
            pytest.fail(said)
        pytest.skip(said)

    def run(path: Path) -> list[dict[str, Any]]:
        command = [str(node), "look.mjs", str(chromium), str(path)]
        done = subprocess.run(command, cwd=TOOLS, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        looks: list[dict[str, Any]] = json.loads(done.stdout)
        assert [(one["width"], one["colorScheme"]) for one in looks] == LOOKS
        assert all(one["rules"] > 20 for one in looks), "axe-core did not run"
        return looks

    return run


def _assert_fine(looks: list[dict[str, Any]]) -> None:
    for one in looks:
        assert one["requests"] == [] and one["messages"] == []
        assert one["sizes"]["page"] <= one["width"], "the page is wider than the window"
        assert one["sizes"]["text"] >= MIN_TEXT_PIXELS, "text in charts is too small"
        serious = [v for v in one["violations"] if v["impact"] in ("serious", "critical")]
        assert serious == []


def test_the_report_of_the_quickstart_is_fine_in_a_browser(
    look: Look, quickstart: Quickstart, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    data = quickstart.run / "test.jsonl"
    words = ("parity", quickstart.bundle, "--data", data, "--no-keras", "--report", report)
    assert main([str(word) for word in words]) == 0

    assert report.stat().st_size <= MAX_BYTES
    _assert_fine(look(report))


def test_a_report_of_everything_that_can_go_wrong_is_fine_too(
    look: Look, tell: TellStory, tmp_path: Path
) -> None:
    story = tell(texts=HOSTILE)
    first, second = story.report.artifacts
    checks = tuple(
        replace(check, verdict=verdict)
        for check, verdict in zip(first.checks[:3], ("fail", "undecided", "pass"), strict=True)
    )
    failed = replace(first, checks=checks, note=HOSTILE[0] * 20)
    missing = replace(second, checks=(), note="a" * 3000)
    bundle = replace(on_devices(story.bundle), name="x" * 500)
    story = replace(
        story, bundle=bundle, report=replace(story.report, artifacts=(failed, missing, missing))
    )
    path = tmp_path / "report.html"
    path.write_text(page(story), "utf-8")

    _assert_fine(look(path))


def test_the_look_sees_what_it_looks_for(look: Look, judged: Story, tmp_path: Path) -> None:
    text = (
        page(judged)
        .replace('<html lang="en">', "<html>")
        .replace("font-size: 12px", "font-size: 5px")
    )
    text = text.replace('<meta http-equiv="Content-Security-Policy"', "<meta")
    wide = '<div style="width: 2000px">wide</div><img src="http://127.0.0.1:9/x.png">'
    path = tmp_path / "bad.html"
    path.write_text(text.replace("<footer>", f"{wide}<footer>"), "utf-8")

    for one in look(path):
        assert one["requests"] == ["http://127.0.0.1:9/x.png"]
        assert one["messages"]
        assert one["sizes"]["page"] > one["width"]
        assert one["sizes"]["text"] < MIN_TEXT_PIXELS
        assert {"html-has-lang", "image-alt"} <= {v["id"] for v in one["violations"]}
