"""Draws one-line faults of this tree's code: an operator, a comparison, a number or an index.

Not the judging of tests by them, which is `planted_faults.py`. What no test can see, such as a
message, is not drawn.
"""

import ast
import hashlib
import re
import subprocess
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("convert", "runtime", "train", "devices")
A_ROOM = 2

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


def draw(*, seed: int, count: int, passed_over: Collection[str] = ()) -> list[Fault]:
    """Draw faults: two of each room, then others until there are enough, no two of one line.

    Args:
        seed: Of the draw.
        count: The least.
        passed_over: Keys of faults that are not taken (`key_of`).
    """
    chosen: dict[tuple[str, int], Fault] = {}
    others = []
    for room, names in rooms().items():
        faults = [fault for name in names for fault in candidates(room, name)]
        faults = [fault for fault in faults if key_of(fault) not in passed_over]
        faults = _shuffled(faults, seed)
        _choose(faults, chosen, len(chosen) + A_ROOM)
        others += faults
    _choose(others, chosen, count)
    return list(chosen.values())


def in_turn(
    faults: Iterable[Fault], *, seed: int, passed_over: Collection[str] = ()
) -> Iterator[Fault]:
    """Yield faults in the order of a draw, no two of one line.

    Args:
        faults: What is drawn from.
        seed: Of the draw.
        passed_over: Keys of faults that are not taken (`key_of`).
    """
    seen: set[tuple[str, int]] = set()
    for fault in _shuffled(faults, seed):
        where = (fault.path, fault.line)
        if where not in seen and key_of(fault) not in passed_over and _is_code(fault):
            seen.add(where)
            yield fault


def _shuffled(faults: Iterable[Fault], seed: int) -> list[Fault]:
    """Order faults by a digest, so that a change elsewhere draws the same ones again."""
    return sorted(faults, key=lambda one: hashlib.sha256(f"{seed} {key_of(one)}".encode()).digest())


def _choose(faults: list[Fault], chosen: dict[tuple[str, int], Fault], until: int) -> None:
    """Take faults in turn until there are so many, each on a line of its own."""
    for fault in faults:
        if len(chosen) >= until:
            return
        is_new = key_of(fault) not in map(key_of, chosen.values())
        if is_new and (fault.path, fault.line) not in chosen and _is_code(fault):
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


def candidates(room: str, name: str) -> Iterator[Fault]:
    """Make every fault of a file."""
    text = (ROOT / name).read_text("utf-8")
    lines = text.split("\n")
    changes = python_changes(text) if name.endswith(".py") else c_changes(lines)
    for number, start, end, new in changes:
        line = lines[number - 1]
        after = line[:start] + new + line[end:]
        if after != line:
            yield Fault(room, name, number, line.strip(), after.strip())


def python_changes(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Return changes of operators, comparisons, numbers and indices: (line, start, end, new)."""
    tree = ast.parse(text)
    ignored = {id(part) for node in ast.walk(tree) if _is_text(node) for part in ast.walk(node)}
    in_functions = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in ignored:
            continue
        if isinstance(node, ast.BinOp | ast.BoolOp | ast.Compare):
            yield from _operator_changes(node)
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
            if id(node) not in in_functions:  # limits and sizes, which are chosen, not right
                continue
            if node.lineno == node.end_lineno and node.end_col_offset is not None:
                yield node.lineno, node.col_offset, node.end_col_offset, _other(node.value)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            operand = node.operand
            if node.lineno == operand.lineno:
                yield node.lineno, node.col_offset, operand.col_offset, ""


def _other(value: bool | int | float) -> str:
    """Return another value: one that is far enough away to matter."""
    if type(value) is bool:
        return repr(not value)
    return repr(value + 1 if abs(value) <= 2 else value * 2)


def _is_text(node: ast.AST) -> bool:
    """Report whether a part of the code only says or names something."""
    return isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.arg)


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


def key_of(fault: Fault) -> str:
    """Return what names a fault, wherever its line moves to."""
    named = "\n".join((fault.path, fault.before, fault.after))
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def rooms() -> dict[str, list[str]]:
    """Return the product's files by room: each folder of convert and runtime with all below it.

    The rooms are those of `git ls-files`, so they follow the code when it moves. The modules beside
    the folders are a room too.
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
            parts = Path(name).parent.parts[: 2 if name.startswith(("convert", "runtime")) else 1]
            found.setdefault("/".join(parts), []).append(name)
    return found
