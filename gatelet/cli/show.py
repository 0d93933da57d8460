"""How commands print: tables and JSON on standard output, progress on standard error.

Not what they print.
"""

import json
import math
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from gatelet.runtime.terminal import escaped, one_line

if TYPE_CHECKING:
    from gatelet.runtime import Prediction


def progress(text: str) -> None:
    """Show what is being done."""
    if sys.stderr is not None:  # print would use standard output instead
        print(one_line(text), file=sys.stderr, flush=True)


class ProgressBar:
    """A line on standard error that fills, if that is a terminal; else only the lines of text."""

    _WIDTH = 24

    def __init__(self) -> None:
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def tell(self, text: str) -> None:
        """Show what is being done, above the bar."""
        self._clear()
        progress(text)

    def advance(self, what: str, done: int, rows: int) -> None:
        """Show how many rows are done.

        Args:
            what: Who does them.
            done: Rows so far.
            rows: Of how many.
        """
        if sys.stderr is None or not sys.stderr.isatty():
            return
        filled = self._WIDTH * done // max(1, rows)
        bar = "#" * filled + "." * (self._WIDTH - filled)
        text = f"[{bar}] {done:,} of {rows:,} rows, {one_line(what)}"
        padding = " " * (len(self._shown) - len(text))
        print(f"\r{text}{padding}", end="", file=sys.stderr, flush=True)
        self._shown = text

    def _clear(self) -> None:
        if self._shown:
            print(f"\r{' ' * len(self._shown)}\r", end="", file=sys.stderr, flush=True)
            self._shown = ""


def command_line(*words: object) -> str:
    """Write a command of gatelet that a shell takes as it is meant, whatever paths are called."""
    return shlex.join(["gatelet", *map(str, words)])


def print_line(text: str = "") -> None:
    """Print a line; what is in it cannot start another one, nor move the terminal's cursor."""
    print(escaped(text))


def decision_line(found: "Prediction") -> str:
    """Write what was decided of a row: labels and their scores, or a model's numbers."""
    if found.label is not None:
        return f"{one_line(found.label)}  {found.score:.6f}"
    if found.outputs is not None:
        decided = {name: _of_output(one) for name, one in found.outputs.items()}
        return "; ".join(f"{one_line(name)}: {one}" for name, one in decided.items())
    if found.steps is not None:
        return ", ".join(_of_output(one) for one in found.steps) or "-"
    if found.labels is not None:
        return ", ".join(f"{one_line(x)} {found.scores[x]:.6f}" for x in found.labels) or "-"
    return "  ".join(figures(list(found.numbers) or found.score))


def _of_output(found: Any) -> str:
    is_raw = isinstance(found, list | float)
    return " ".join(figures(found)) if is_raw else decision_line(found).replace("  ", " ")


def figures(outputs: Any) -> list[str]:
    """Write all numbers of nested lists, or of several outputs behind their names."""
    if isinstance(outputs, dict):
        return [f"{one_line(name)} {' '.join(figures(one))}" for name, one in outputs.items()]
    if isinstance(outputs, list):
        return [part for one in outputs for part in figures(one)]
    return [f"{outputs:.6g}"]


def print_json(value: Any) -> None:
    """Print a value as one JSON line; NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(_finite(value), ensure_ascii=True, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns; those that hold figures are aligned to the right."""
    lines = [[one_line(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    right = [bool(rows) and all(_is_figure(row[i]) for row in rows) for i in range(len(header))]
    for line in lines:
        cells = (
            cell.rjust(width) if flush_right else cell.ljust(width)
            for cell, width, flush_right in zip(line, widths, right, strict=True)
        )
        print("  ".join(cells).rstrip())


def format_figure(value: float | None) -> str:
    """Write a measured figure with three significant digits."""
    return "-" if value is None else f"{value:.3g}"


def _is_figure(cell: str) -> bool:
    return cell[:1].isdigit() or cell == "-"
