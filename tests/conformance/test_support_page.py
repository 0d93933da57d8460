"""docs/support.md is what the generator gives, and names every layer that is lowered."""

import pytest

from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.lowering import LOWERINGS
from tests.conformance.support import PAGE, write_page


@pytest.fixture(scope="module")
def page() -> str:
    return write_page()


def test_the_page_is_not_stale(page: str) -> None:
    assert PAGE.read_text("utf-8") == page, "run: python -m tests.conformance.support"


def test_it_names_every_layer_target_and_scheme(page: str) -> None:
    words = set(page.replace("|", " ").replace(",", " ").replace(".", " ").split())
    assert words.issuperset(LOWERINGS)
    assert words.issuperset(TARGETS)
    assert words.issuperset(name for names in TARGETS.values() for name in names)


def test_every_layer_of_the_float32_contract_runs_on_both_targets(page: str) -> None:
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    head = next(row for row in rows if row[0] == "| layer")
    for target in ("litert", "onnx"):
        column = head.index(target)
        for row in rows[2:]:
            assert row[column].strip(" |") == "all" or "float32" in row[column], row
