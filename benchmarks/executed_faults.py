"""Plants one-line faults in what three conversions execute, and counts those that parity finds.

    python benchmarks/executed_faults.py draw WORK          the faults
    python benchmarks/executed_faults.py run WORK           hours; goes on after a stop
    python benchmarks/executed_faults.py table WORK         the table of docs/parity.md

The conversions are those of `executed_models.py`. Faults are drawn by a seed among the lines of
functions that they execute, as many from each room; each is planted in a copy of the tree, which
converts the model, with the artifacts that the fault can change, and judges nothing. `gatelet
parity` of the tree without the fault then judges the bundle, with the model and its rows. A fault
of the runtime, which judges too, stays for that. Found is what parity fails or refuses to judge.
Where nothing is converted, or the bundle is the same to the byte, there is nothing wrong to judge:
another fault is drawn. So is one where a fault changes no answer (harmless_faults.json says why)
or no use of these models meets it (inert_faults.json). Exit code 1 if more than one in twenty is
missed.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from executed_lines import Lines
from executed_trials import NOTHING, PARITY, REFUSED, SAME, Work, judge
from fault_candidates import Fault, candidates, in_turn, key_of, rooms
from fault_trees import add_to_journal, harmless, read_journal

ROOMS = {
    "exporters": ("convert/exporters/", "convert/passes/"),
    "vectorizers": ("runtime/vectorizer/",),
    "backends": ("runtime/backends/",),
    "C sources": (),
}
"""Where the files of each room lie; C sources are all .c and .h of what a conversion makes."""
_C_FILES = "convert/exporters/c/"
INERT = Path(__file__).with_name("inert_faults.json")
"""Faults that no use of these three models meets, each with the reason."""
JOURNAL, MISSED = "executed.jsonl", 1 / 20
MOST_NAMED = 4


def room_of(path: str) -> str:
    """Return the room of a file; '' for one that has none."""
    if path.endswith((".c", ".h")):
        return "C sources" if path.startswith(_C_FILES) else ""
    return next((room for room, folders in ROOMS.items() if path.startswith(folders)), "")


def faults_of(executed: Mapping[str, Lines], seed: int) -> dict[str, Iterator[Fault]]:
    """Return the faults of executed lines by room, each in the order of a draw."""
    ran: Lines = {}
    for lines in executed.values():
        for path, numbers in lines.items():
            ran.setdefault(path, set()).update(numbers)
    found: dict[str, list[Fault]] = {room: [] for room in ROOMS}
    for path in (name for names in rooms().values() for name in names):
        room = room_of(path)
        if room and path in ran:
            found[room] += [one for one in candidates(room, path) if one.line in ran[path]]
    known = {*harmless(), *json.loads(INERT.read_text("utf-8"))}
    return {room: in_turn(ones, seed=seed, passed_over=known) for room, ones in found.items()}


def drawn(
    executed: Mapping[str, Lines],
    seed: int,
    count: int,
    result_of: Callable[[Fault], Mapping[str, Any]],
) -> list[tuple[Fault, Mapping[str, Any]]]:
    """Draw faults, as many of each room, until so many of them made a bundle that is another.

    Args:
        executed: The lines that each conversion executes.
        seed: Of the draw.
        count: Of faults that make another bundle.
        result_of: What becomes of a fault.

    Returns:
        All that were drawn, with the results.
    """
    found: list[tuple[Fault, Mapping[str, Any]]] = []
    left = faults_of(executed, seed)
    for place in range(count):
        room = list(ROOMS)[place % len(ROOMS)]
        for fault in left[room]:
            result = result_of(fault)
            found.append((fault, result))
            if result["found"] in (PARITY, NOTHING):
                break
    return found


def run(work: Work, *, seed: int, count: int) -> int:
    """Judge what has no result yet; report 1 where too many are missed."""
    executed, journal = work.executed(), work.folder / JOURNAL
    known = {str(one["key"]): one for one in read_journal(journal)}

    def result_of(fault: Fault) -> Mapping[str, Any]:
        if key_of(fault) not in known:
            result = {"key": key_of(fault), **asdict(fault), **judge(fault, executed, work)}
            add_to_journal(journal, result)
            known[key_of(fault)] = result
            told = f"{fault.path}:{fault.line}: {result['found']} {result['of']}"
            print(f"{told} {result['seconds']} s {result['by'][:150]}", flush=True)
        return known[key_of(fault)]

    judged = [one["found"] for _, one in drawn(executed, seed, count, result_of)]
    missed, same, refused = map(judged.count, (NOTHING, SAME, REFUSED))
    print(f"{count} faults, parity finds {count - missed}; ", end="")
    print(f"{same} more change nothing, {refused} make no bundle")
    return int(missed > MISSED * count)


def table(work: Work, *, seed: int, count: int) -> str:
    """Return the results as a table of docs/parity.md."""
    known = {str(one["key"]): one for one in read_journal(work.folder / JOURNAL)}
    judged = drawn(work.executed(), seed, count, lambda fault: known[key_of(fault)])
    counts = Counter((fault.room, one["found"]) for fault, one in judged)
    said = ["| room | faults | parity finds | same bundle | no bundle |", "|---|---|---|---|---|"]
    for room in ROOMS:
        seen, missed, *others = (counts[room, how] for how in (PARITY, NOTHING, SAME, REFUSED))
        said.append(f"| {room} | {' | '.join(map(str, (seen + missed, seen, *others)))} |")
    said += ["", "| line | fault | conversion | what fails |", "|---|---|---|---|"]
    for fault, one in sorted(
        judged, key=lambda pair: (list(ROOMS).index(pair[0].room), pair[0].path)
    ):
        if one["found"] in (PARITY, NOTHING):
            said.append(_row(fault, one))
    return "\n".join(said)


def _row(fault: Fault, result: Mapping[str, Any]) -> str:
    after, by = (text.replace("|", "\\|") for text in (fault.after, str(result["by"])))
    names = by.split(", ")
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    where = "/".join(Path(fault.path).parts[-2:])
    told = ", ".join(names[:MOST_NAMED]) + more or "nothing"
    return f"| {where}:{fault.line} | `{after}` | {result['of']} | {told} |"


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("step", choices=("draw", "run", "table"))
    parser.add_argument("work", type=Path, help="a folder outside this tree")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    asked = parser.parse_args()
    work = Work(asked.work.resolve())
    work.folder.mkdir(parents=True, exist_ok=True)
    if asked.step == "run":
        return run(work, seed=asked.seed, count=asked.count)
    if asked.step == "table":
        print(table(work, seed=asked.seed, count=asked.count))
        return 0
    for room, faults in faults_of(work.executed(), asked.seed).items():
        for fault in islice(faults, -(-asked.count // len(ROOMS))):
            print(f"{key_of(fault)} {room}: {fault.path}:{fault.line}")
            print(f"  - {fault.before}\n  + {fault.after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
