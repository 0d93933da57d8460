"""A pytest plugin that writes each test's processor time, with that of the programs it ran.

    GATELET_TEST_TIMES=times pytest -p tests.processor_time -n 2 ...
    python -m tests.processor_time times.*.jsonl             the sums by file, the longest first
    python -m tests.processor_time --slow times.*.jsonl      writes tests/slow_tests.txt

Not on by itself: it is for finding what a tier spends its time on.
"""

import json
import os
import resource
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests import tiers

A_FUNCTION_S = 1.0
"""What the fast tier spends on a function of tests, about."""


def _spent_s() -> float:
    """Return the processor time of this process, and of its children that have ended."""
    spent = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measure a test with what is set up for it, and what is torn down after it."""
    before = _spent_s()
    try:
        return (yield)
    finally:
        _write(item.nodeid.partition("@")[0], _spent_s() - before)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Measure the start and the collection."""
    _write("collection::", _spent_s())


def _write(test: str, spent_s: float) -> None:
    process = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    with Path(f"{os.environ['GATELET_TEST_TIMES']}.{process}.jsonl").open("a") as file:
        file.write(json.dumps({"test": test, "seconds": round(spent_s, 3)}) + "\n")


def read(paths: list[str]) -> dict[str, list[float]]:
    """Return the seconds of each function's tests."""
    found: dict[str, list[float]] = defaultdict(list)
    for path in paths:
        for line in Path(path).read_text().splitlines():
            row = json.loads(line)
            found[row["test"].partition("[")[0]].append(row["seconds"])
    return found


def write_slow(times: dict[str, list[float]]) -> None:
    """Write which functions the fast tier keeps how many parameters of: about a second of each.

    Of several parameters the longest is left out of the mean: it paid for what all of them share.
    A function that was not run keeps its row; one that a row of `tiers.SLOW` names gets none.
    """
    kept = tiers.kept_of_measured()
    for name, seconds in times.items():
        file, _, function = name.removeprefix("tests/").partition("::")
        if len(seconds) <= kept.get(f"{file}::{function}", 0):
            continue  # a run of the fast tier, which has a part of them
        others = sorted(seconds)[:-1] or seconds
        whole = statistics.fmean(others) * len(seconds)
        kept.pop(f"{file}::{function}", None)
        named = any(
            fnmatchcase(file, r.files) and fnmatchcase(function, r.tests) for r in tiers.SLOW
        )
        key = f"{file}::{function}"
        if whole > A_FUNCTION_S and function and not named and key not in tiers.WORTH_IT:
            kept[key] = int(len(seconds) * A_FUNCTION_S / whole)
    lines = [f"{count} {name}\n" for name, count in sorted(kept.items())]
    tiers.MEASURED.write_text("".join(lines), "utf-8")


def main(arguments: list[str]) -> None:
    """Print the sums by file and by function, or write what is slow."""
    times = read([one for one in arguments if one != "--slow"])
    if "--slow" in arguments:
        write_slow(times)
        return
    for depth in (1, 2):
        sums: dict[str, float] = defaultdict(float)
        for name, seconds in times.items():
            sums["::".join(name.split("::")[:depth])] += sum(seconds)
        print(f"{sum(sums.values()):8.1f} s")
        for name, spent in sorted(sums.items(), key=lambda one: -one[1])[:40]:
            print(f"{spent:8.1f} s  {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
