"""Functions under convert/ stay small: six parameters, sixty lines without the docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path

CONVERT = Path(__file__).resolve().parents[2] / "convert"

MOST_PARAMETERS, MOST_LINES = 6, 60

# what users call, with a keyword for each setting
PUBLIC = {"conversion.py:convert", "conversion.py:convert_with_report"}


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in sorted(CONVERT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.relative_to(CONVERT).as_posix()}:{node.name}", node


def parameters_of(function: ast.FunctionDef) -> int:
    given = function.args
    named = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    others = [one for one in (given.vararg, given.kwarg) if one is not None]
    return len(named) + len(others) - (named[:1] in (["self"], ["cls"]))


def lines_of(function: ast.FunctionDef) -> int:
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None and first.end_lineno is not None
    docstring = first.end_lineno - first.lineno + 1 if has_docstring and first.end_lineno else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_functions_of_convert_are_small() -> None:
    found = {
        name: (parameters_of(one), lines_of(one))
        for name, one in functions()
        if parameters_of(one) > MOST_PARAMETERS or lines_of(one) > MOST_LINES
    }
    assert {name: size for name, size in found.items() if name not in PUBLIC} == {}
