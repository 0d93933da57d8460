"""Plants one-line faults in a copy of this tree and records which tier of the tests finds them.

    python benchmarks/planted_faults.py prepare WORK        which lines the tests run, an hour
    python benchmarks/planted_faults.py run WORK            40 faults, hours; goes on after a stop
    python benchmarks/planted_faults.py table WORK          the table of docs/testing.md

The faults are drawn by a seed, so many from each room, among operators, constants, comparisons and
indices of lines that tests run: what no test can see, such as a message, is not drawn.
"""

import argparse
import ast
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("convert", "runtime", "train", "devices")
A_ROOM = 2
JOURNAL, COVERAGE, COPY = "faults.jsonl", "coverage.json", "tree"

SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.Lt: (ast.GtE, ast.LtE),
    ast.LtE: (ast.Gt, ast.Lt),
    ast.Gt: (ast.LtE, ast.GtE),
    ast.GtE: (ast.Lt, ast.Gt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
C_SWAPS = (
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" \* ", " + "),
    (r" / ", " * "),
    (r" < ", " >= "),
    (r" <= ", " > "),
    (r" > ", " <= "),
    (r" >= ", " < "),
    (r" == ", " != "),
    (r" != ", " == "),
    (r" && ", " || "),
    (r" \|\| ", " && "),
    (r"\[0\]", "[1]"),
    (r"\b0\.5f\b", "0.25f"),
    (r"\b1\.0f\b", "2.0f"),
)


@dataclass(frozen=True)
class Fault:
    """One changed line.

    Args:
        room: Which part of the code it is in.
        path: From the root.
        line: From 1.
        before: The line.
        after: What stands there instead.
    """

    room: str
    path: str
    line: int
    before: str
    after: str


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("step", choices=("prepare", "draw", "run", "table"))
    parser.add_argument("work", type=Path, help="a folder outside this tree")
    parser.add_argument("--seed", type=int, default=14)
    parser.add_argument("--count", type=int, default=40, help="at least two a room are drawn")
    parser.add_argument("--first", type=int, help="run only so many that have no result yet")
    parser.add_argument("--workers", default="2", help="test processes")
    chosen = parser.parse_args()
    work: Path = chosen.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if chosen.step == "prepare":
        return prepare(work, chosen.workers)
    if chosen.step == "table":
        print(table(work))
        return 0
    faults = draw(lines_run(work), seed=chosen.seed, count=chosen.count)
    if chosen.step == "draw":
        for fault in faults:
            print(f"{fault.room}: {fault.path}:{fault.line}\n  - {fault.before}\n  + {fault.after}")
        return 0
    return run_all(faults, work, chosen.workers, chosen.first)


def rooms() -> dict[str, list[str]]:
    """Return the product's files by room: each folder, and the modules beside folders.

    The rooms are those of `git ls-files`, so they follow the code when it moves.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", *FOLDERS, "gatelet"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    found: dict[str, list[str]] = {}
    for name in sorted(listed):
        if name.endswith((".py", ".c", ".h")) and not (ROOT / name).is_symlink():
            found.setdefault(str(Path(name).parent), []).append(name)
    return found


def prepare(work: Path, workers: str) -> int:
    """Record which lines the fast tier and --ci run, with coverage.py: pip install coverage."""
    data = work / ".coverage"
    settings = work / "coverage.toml"
    settings.write_text(
        "[tool.coverage.run]\n"
        f"data_file = '{data}'\nparallel = true\nconcurrency = ['thread']\n"
        f"source = [{', '.join(repr(str(ROOT / one)) for one in (*FOLDERS, 'gatelet'))}]\n"
        "patch = ['subprocess']\n"
    )
    environment = environment_of(ROOT)
    coverage = [sys.executable, "-m", "coverage"]
    tests = ["-m", "pytest", "-q", "-m", "not full and not install", "-n", workers]
    options = ["--dist", "loadfile", "--no-loadscope-reorder"]
    subprocess.run(
        [*coverage, "run", f"--rcfile={settings}", *tests, *options],
        cwd=ROOT,
        env=environment,
        check=False,
    )
    subprocess.run([*coverage, "combine", f"--rcfile={settings}"], cwd=ROOT, check=True)
    made = ["json", f"--rcfile={settings}", "-o", str(work / COVERAGE)]
    return subprocess.run([*coverage, *made], cwd=ROOT, check=False).returncode


def lines_run(work: Path) -> dict[str, set[int]] | None:
    """Return the lines that tests run, by path; None before `prepare`."""
    path = work / COVERAGE
    if not path.exists():
        return None
    found: dict[str, set[int]] = {}
    for name, one in json.loads(path.read_text("utf-8"))["files"].items():
        real = (ROOT / name).resolve()  # gatelet/train is a link
        if real.is_relative_to(ROOT):
            lines = found.setdefault(str(real.relative_to(ROOT)), set())
            lines.update(one["executed_lines"])
    return found


def draw(run: dict[str, set[int]] | None, *, seed: int, count: int) -> list[Fault]:
    """Draw faults: two of each room, then others until there are enough, no two of one line."""
    by_room = {
        room: [fault for name in names for fault in candidates(room, name, run)]
        for room, names in rooms().items()
    }
    generator = random.Random(seed)
    for faults in by_room.values():
        generator.shuffle(faults)
    chosen: dict[tuple[str, int], Fault] = {}
    for faults in by_room.values():
        _choose(faults, chosen, len(chosen) + A_ROOM)
    others = [fault for faults in by_room.values() for fault in faults]
    generator.shuffle(others)
    _choose(others, chosen, count)
    return list(chosen.values())


def _choose(faults: list[Fault], chosen: dict[tuple[str, int], Fault], until: int) -> None:
    """Take faults in turn until there are so many, each on a line of its own."""
    for fault in faults:
        if len(chosen) >= until:
            return
        if (fault.path, fault.line) not in chosen and _is_code(fault):
            chosen[fault.path, fault.line] = fault


def _is_code(fault: Fault) -> bool:
    """Report whether a file with the fault is still Python; C is left to the compiler."""
    if not fault.path.endswith(".py"):
        return True
    try:
        ast.parse("\n".join(with_fault(fault, (ROOT / fault.path).read_text("utf-8"))))
    except SyntaxError:
        return False
    return True


def with_fault(fault: Fault, text: str) -> list[str]:
    """Return a file's lines with the fault in the place of one."""
    lines = text.split("\n")
    line = lines[fault.line - 1]
    lines[fault.line - 1] = line[: len(line) - len(line.lstrip())] + fault.after
    return lines


def candidates(room: str, name: str, run: dict[str, set[int]] | None) -> Iterator[Fault]:
    """Make every fault of a file that stands on a line that tests run."""
    text = (ROOT / name).read_text("utf-8")
    lines = text.split("\n")
    changes = python_changes(text) if name.endswith(".py") else c_changes(lines)
    for number, start, end, new in changes:
        line = lines[number - 1]
        after = line[:start] + new + line[end:]
        if name.endswith(".py") and run is not None and number not in run.get(name, set()):
            continue
        if after != line:
            yield Fault(room, name, number, line.strip(), after.strip())


def python_changes(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Return changes of operators, comparisons, numbers and indices: (line, start, end, new)."""
    tree = ast.parse(text)
    ignored = {id(part) for node in ast.walk(tree) if _is_text(node) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in ignored:
            continue
        if isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare):
            yield from _operator_changes(node)
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            if node.lineno == node.end_lineno and node.end_col_offset is not None:
                new = (
                    repr(not node.value)
                    if node.value in (True, False) and (type(node.value) is bool)
                    else repr(node.value + 1)
                )
                yield node.lineno, node.col_offset, node.end_col_offset, new
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            operand = node.operand
            if node.lineno == operand.lineno:
                yield node.lineno, node.col_offset, operand.col_offset, ""


def _is_text(node: ast.AST) -> bool:
    """Report whether a part of the code only says or names something."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.arg | ast.AnnAssign):
        return not isinstance(node, ast.AnnAssign)
    return False


def _operator_changes(node: ast.AST) -> Iterator[tuple[int, int, int, str]]:
    """Swap the operator between two operands on one line."""
    if isinstance(node, ast.BinOp):
        parts, operators = [node.left, node.right], [node.op]
    elif isinstance(node, ast.BoolOp):
        parts, operators = node.values, [node.op] * (len(node.values) - 1)
    elif isinstance(node, ast.Compare):
        parts, operators = [node.left, *node.comparators], list(node.ops)
    else:
        return
    for left, operator, right in zip(parts[:-1], operators, parts[1:], strict=True):
        if left.end_lineno != right.lineno or left.end_col_offset is None:
            continue
        swaps = SWAPS.get(type(operator), ())
        if not (_is_counted(left) or _is_counted(right)):
            swaps = swaps[:1]  # between measured numbers, < and <= hardly ever differ
        for other in swaps:
            new = f" {SYMBOLS[other]} "
            yield right.lineno, left.end_col_offset, right.col_offset, new


def _is_counted(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id == "len"
    return isinstance(node, ast.Constant) and type(node.value) is int


SYMBOLS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.FloorDiv: "//",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.And: "and",
    ast.Or: "or",
}


def c_changes(lines: list[str]) -> Iterator[tuple[int, int, int, str]]:
    """Return changes of C code by its spaced operators, outside comments and the preprocessor."""
    is_comment = False
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        is_comment = (is_comment or bare.startswith("/*")) and "*/" not in bare
        if is_comment or bare.startswith(("/*", "*", "//", "#")) or '"' in line:
            continue
        code = line.split("//")[0].split("/*")[0]
        for pattern, new in C_SWAPS:
            for found in re.finditer(pattern, code):
                yield number, found.start(), found.end(), new


def run_all(faults: list[Fault], work: Path, workers: str, first: int | None) -> int:
    """Run what has no result yet; report 1 where a fault passed all tests."""
    journal = work / JOURNAL
    known = {one["key"]: one for one in read_journal(journal)}
    todo = [fault for fault in faults if key_of(fault) not in known]
    for index, fault in enumerate(todo[:first], 1):
        print(f"{index} of {len(todo)}: {fault.path}:{fault.line}", file=sys.stderr)
        result = {"key": key_of(fault), **asdict(fault), **judge(fault, work, workers)}
        with journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        known[result["key"]] = result
    missed = [one for one in known.values() if one["by"] == "nothing"]
    for one in missed:
        print(f"no test sees {one['path']}:{one['line']}: {one['after']}", file=sys.stderr)
    return 1 if missed else 0


def key_of(fault: Fault) -> str:
    """Return what names a fault, so that a changed file gives another."""
    return hashlib.sha256(json.dumps(asdict(fault)).encode()).hexdigest()[:16]


def read_journal(path: Path) -> list[dict[str, object]]:
    """Read the results so far; a last line that was cut off is none."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def judge(fault: Fault, work: Path, workers: str) -> dict[str, object]:
    """Plant a fault in a copy of the tree, and see which tier turns red."""
    tree = copy_of_tree(work / COPY)
    planted = tree / fault.path
    planted.write_text("\n".join(with_fault(fault, planted.read_text("utf-8"))), "utf-8")
    begun = time.monotonic()
    tried = [("fast", command) for command in fast_tier(tree, workers)]
    tried += [("ci", command) for command in ci_tier(tree, fault, workers)]
    for by, command in tried:
        done = subprocess.run(
            command, cwd=tree, env=environment_of(tree), capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, 5):  # 5: there are no tests in that folder
            return {
                "by": by,
                "seen": _seen(done.stdout),
                "seconds": round(time.monotonic() - begun),
            }
    return {"by": "nothing", "seen": "", "seconds": round(time.monotonic() - begun)}


def _seen(printed: str) -> str:
    """Return the first test that failed, or the last line that a tool printed."""
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", printed, re.M)
    return str(failed[0]) if failed else next(iter(printed.strip().splitlines()[-1:]), "")


def fast_tier(tree: Path, workers: str) -> list[list[str]]:
    """Return the commands of `./check`."""
    return [[str(tree / "check"), "--lint"], pytest_of("not ci and not full", workers)]


def ci_tier(tree: Path, fault: Fault, workers: str) -> list[list[str]]:
    """Return the commands of what `./check --ci` adds, the fault's own folder of tests first."""
    own = Path("tests") / Path(fault.path).parent
    while not (tree / own).is_dir():
        own = own.parent
    # its wheel's test installs this tree's requirements, which have no fault
    markers = "ci and not full"
    return [[*pytest_of(markers, workers), str(own)], pytest_of(markers, workers)]


def pytest_of(markers: str, workers: str) -> list[str]:
    """Return a command that stops at the first failure."""
    order = ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder"]
    return [sys.executable, "-m", "pytest", "-q", "-x", "-m", markers, *order]


def environment_of(tree: Path) -> dict[str, str]:
    """Return the environment in which a tree's own gatelet is imported."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PYTHONPATH": str(tree), "PATH": path}


def copy_of_tree(tree: Path) -> Path:
    """Copy what git tracks, and the Node modules that tests need; caches of tools stay."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, tree / name
        if not os.path.lexists(source):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            if not target.is_symlink():
                target.symlink_to(source.readlink())
        elif not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
            shutil.copymode(source, target)
    for modules in ROOT.glob("tests/**/node_modules"):
        link = tree / modules.relative_to(ROOT)
        if "node_modules" not in link.parent.parts and not link.exists():
            link.symlink_to(modules)
    if not (tree / ".git").exists():  # tests ask git what is tracked
        for command in (["init", "-q"], ["add", "-A"]):
            subprocess.run(["git", *command], cwd=tree, check=True)
    return tree


def table(work: Path) -> str:
    """Return the results as a table of docs/testing.md."""
    rows = read_journal(work / JOURNAL)
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
