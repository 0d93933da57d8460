"""A pytest plugin that writes each test's processor time, with that of the programs it ran.

    GATELET_TEST_TIMES=times pytest -p tests.processor_time -n 2 ...
    python -m tests.processor_time times.*.jsonl     the sums by file, the longest first

Not on by itself: it is for finding what a tier spends its time on.
"""

import json
import os
import resource
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest


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


def main(paths: list[str]) -> None:
    """Print the sums by file and by function."""
    for depth in (1, 2):
        sums: dict[str, float] = defaultdict(float)
        for path in paths:
            for line in Path(path).read_text().splitlines():
                row = json.loads(line)
                sums["::".join(row["test"].partition("[")[0].split("::")[:depth])] += row["seconds"]
        print(f"{sum(sums.values()):8.1f} s")
        for name, seconds in sorted(sums.items(), key=lambda one: -one[1])[:40]:
            print(f"{seconds:8.1f} s  {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
