"""Which tests the fast tier of `./check` leaves out, and the order in which all of them run.

A new test is in the fast tier until a row here, or the marker `ci`, says that it is slow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

__all__ = ["SAMPLE", "SLOW", "SLOW_FIXTURES", "Slow", "arrange", "is_slow"]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Slow:
    """Tests that only `./check --ci` runs.

    Args:
        files: Pattern of paths below tests/, such as 'convert/test_*.py'.
        tests: Pattern of the functions' names.
        keep: Of a family with parameters: the fast tier keeps the tests that have one of these
            words as a parameter.
    """

    files: str
    tests: str = "*"
    keep: tuple[str, ...] = ()


SAMPLE: tuple[str, ...] = ()

SLOW_FIXTURES = ("quickstart", "quickstart_zh")
"""Each trains a model on a corpus, which takes longer than a third of the fast tier."""

SLOW_MARKERS = ("browser", "install")

SLOW: tuple[Slow, ...] = ()

BEGIN_WITH: tuple[str, ...] = ()
"""Files that take long: the others fill the gaps."""


def arrange(items: list[pytest.Item]) -> None:
    """Mark, group and order tests, before `-m` chooses among them."""
    order = {name: index for index, name in enumerate(BEGIN_WITH)}
    for item in items:
        if is_slow(item):
            item.add_marker("ci")
        if item.config.pluginmanager.hasplugin("xdist"):
            item.add_marker(pytest.mark.xdist_group(_file(item)))
    items.sort(key=lambda item: order.get(_file(item), len(order)))  # stable


def is_slow(item: pytest.Item) -> bool:
    """Report whether the fast tier leaves a test out."""
    fixtures: Sequence[str] = getattr(item, "fixturenames", ())
    return (
        any(name in fixtures for name in SLOW_FIXTURES)
        or any(item.get_closest_marker(name) for name in SLOW_MARKERS)
        or any(_names(row, item) for row in SLOW)
    )


def _names(row: Slow, item: pytest.Item) -> bool:
    name, _, parameters = item.name.partition("[")
    if not (fnmatchcase(_file(item), row.files) and fnmatchcase(name, row.tests)):
        return False
    return not set(parameters.rstrip("]").split("-")) & set(row.keep)


def _file(item: pytest.Item) -> str:
    return item.path.relative_to(ROOT / "tests").as_posix()
