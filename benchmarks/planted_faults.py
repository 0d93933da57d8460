"""Plants one-line faults in a copy of this tree and records which tier of the tests finds them.

    python benchmarks/planted_faults.py draw WORK           the faults
    python benchmarks/planted_faults.py run WORK            hours; goes on after a stop
    python benchmarks/planted_faults.py table WORK          the table of docs/testing.md

The faults are drawn by a seed, so many from each room (`fault_candidates.py`). One that changes
nothing that anybody could see is listed in harmless_faults.json with the reason, and another is
drawn in its place.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fault_candidates import Fault, draw, key_of
from fault_trees import (
    add_to_journal,
    copy_of_tree,
    environment_of,
    harmless,
    plant,
    read_journal,
)

JOURNAL, COPY = "faults.jsonl", "tree"
TIERS = {"fast": "not ci and not full", "ci": "ci and not full"}
"""What marks the tests that a tier has, and the tier before it has not."""


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("step", choices=("draw", "run", "table"))
    parser.add_argument("work", type=Path, help="a folder outside this tree")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--count", type=int, default=40, help="at least two a room are drawn")
    parser.add_argument("--tier", choices=("fast", "ci"), default="ci", help="the last that is run")
    parser.add_argument("--workers", default="2", help="test processes")
    chosen = parser.parse_args()
    work: Path = chosen.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if chosen.step == "table":
        print(table(work))
        return 0
    faults = draw(seed=chosen.seed, count=chosen.count, passed_over=set(harmless()))
    if chosen.step == "draw":
        for fault in faults:
            print(f"{key_of(fault)} {fault.room}: {fault.path}:{fault.line}")
            print(f"  - {fault.before}\n  + {fault.after}")
        return 0
    return run_all(faults, work, chosen.workers, last_tier=chosen.tier)


def run_all(faults: list[Fault], work: Path, workers: str, *, last_tier: str) -> int:
    """Run what has no result yet; report 1 where a fault passed all tests."""
    for index, fault in enumerate(faults, 1):
        known = {str(one["key"]): one for one in read_journal(work / JOURNAL)}
        before = known.get(key_of(fault), {"tried": []})
        tiers = [tier for tier in TIERS if tier not in before["tried"]]
        tiers = tiers[: tiers.index(last_tier) + 1] if last_tier in tiers else []
        if before.get("by", "nothing") != "nothing" or not tiers:
            continue
        print(f"{index} of {len(faults)}: {fault.path}:{fault.line}", file=sys.stderr)
        found = judge(fault, work, workers, tiers)
        result = {"key": key_of(fault), **asdict(fault), **found}
        result["tried"] = [*before["tried"], *tiers]
        add_to_journal(work / JOURNAL, result)
    known = {str(one["key"]): one for one in read_journal(work / JOURNAL)}
    missed = [known[key_of(one)] for one in faults if known[key_of(one)]["by"] == "nothing"]
    for one in missed:
        print(f"no test sees {one['path']}:{one['line']}: {one['after']}", file=sys.stderr)
    return 1 if missed else 0


def judge(fault: Fault, work: Path, workers: str, tiers: Sequence[str]) -> dict[str, Any]:
    """Plant a fault in a copy of the tree, and see which tier turns red."""
    tree = copy_of_tree(work / COPY)
    plant(fault, tree)
    begun = time.monotonic()
    for tier in tiers:
        for command in commands_of(tier, tree, fault, workers):
            done = subprocess.run(
                command,
                cwd=tree,
                env=environment_of(tree),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode not in (0, 5):  # 5: there are no tests in that folder
                took = round(time.monotonic() - begun)
                return {"by": tier, "seen": _seen(done.stdout), "seconds": took}
    return {"by": "nothing", "seen": "", "seconds": round(time.monotonic() - begun)}


def _seen(printed: str) -> str:
    """Return the first test that failed, or the last line that a tool printed."""
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", printed, re.M)
    return str(failed[0]) if failed else next(iter(printed.strip().splitlines()[-1:]), "")


def commands_of(tier: str, tree: Path, fault: Fault, workers: str) -> list[list[str]]:
    """Return what runs a tier, or what it has more than the tier before; the nearest tests first.

    All of the tier runs in the end: the order only spares the others where a near test is red.
    """
    own = Path("tests") / Path(fault.path).parent
    while not (tree / own).is_dir():
        own = own.parent
    tests = pytest_of(TIERS[tier], workers)
    alone = pytest_of(TIERS[tier], "0")
    lint = [[str(tree / "check"), "--lint"]] if tier == "fast" else []
    near = [[*alone, *found] for found in [near_tests(tree, fault)] if found]
    return [*near, [*tests, str(own)], tests, *lint]


def near_tests(tree: Path, fault: Fault) -> list[str]:
    """Return the test files that have the faulty module's name, or import it."""
    path = Path(fault.path)
    module = ".".join(("gatelet", *path.with_suffix("").parts)).replace(
        "gatelet.gatelet", "gatelet"
    )
    found = []
    for test in sorted((tree / "tests").rglob("test_*.py")):
        if test.stem == f"test_{path.stem}" or f"{module} " in test.read_text("utf-8"):
            found.append(str(test.relative_to(tree)))
    return found


def pytest_of(markers: str, workers: str) -> list[str]:
    """Return a command that stops at the first failure."""
    order = ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder"]
    return [sys.executable, "-m", "pytest", "-q", "-x", "-m", markers, *order]


def table(work: Path) -> str:
    """Return the results as a table of docs/testing.md."""
    rows = list({one["key"]: one for one in read_journal(work / JOURNAL)}.values())
    counts = {by: sum(one["by"] == by for one in rows) for by in ("fast", "ci", "nothing")}
    said = [
        f"{len(rows)} faults: {counts['fast']} seen by `./check`, {counts['ci']} more by "
        f"`./check --ci`, {counts['nothing']} by no test.",
        "",
        "| room | line | fault | seen by | first |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in sorted(rows, key=lambda row: (str(row["room"]), str(row["path"]))):
        after = str(one["after"]).replace("|", "\\|")
        seen = str(one["seen"]).split("::")[-1].partition("[")[0]
        where = f"{Path(str(one['path'])).name}:{one['line']}"
        said.append(f"| {one['room']} | {where} | `{after}` | {one['by']} | {seen} |")
    return "\n".join(said)


if __name__ == "__main__":
    sys.exit(main())
