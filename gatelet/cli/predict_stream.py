"""`gatelet predict --stream`: a step a line in, a line a step out.

Not the stream itself, which is `gatelet.runtime.predictor.stream`.
"""

import argparse
import codecs
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from gatelet.cli.predict_arrays import print_outputs, row_of, tell_outside, tell_units
from gatelet.cli.show import progress
from gatelet.errors import DataError, InputError
from gatelet.runtime import Predictor, Stream, load, open_bundle
from gatelet.runtime.backends import GRAPH_TARGETS, installed_targets
from gatelet.runtime.data.lines import WORKBOOK, ZIP_MAGIC
from gatelet.runtime.graph.graph import GraphInput
from gatelet.runtime.graph.streamable import has_time
from gatelet.runtime.predictor.choice import choose_artifact, target_of_variable
from gatelet.runtime.predictor.loading import open_artifact
from gatelet.runtime.terminal import one_line

LONGEST_LINE_BYTES = 2**20
_SEPARATORS = ";,\t"
"""A line with one of these is split there alone, the first of them that it has."""


@dataclass(frozen=True)
class _Step:
    """What one line gives.

    Args:
        inputs: For `Stream.step`; None starts a new sequence.
        where: For messages.
        text: The line of a model of texts.
    """

    inputs: Any
    where: str
    text: str | None = None


def run_stream(arguments: argparse.Namespace) -> int:
    """Predict after each step, until there are no more."""
    predictor = _open(arguments)
    stream = predictor.stream()
    progress(f"using {predictor.target} {predictor.scheme} ({predictor.engine})")
    tell_units(predictor)
    is_told = False
    for step in _steps(arguments, stream):
        if step.inputs is None:
            stream.reset()
            continue
        before = stream.out_of_range
        try:
            scores = stream.step(step.inputs)
        except InputError as error:
            if getattr(error, "tokens", None) != 0:
                raise DataError(f"{step.where}: {error}") from error
            progress(f"{step.where}: {error}")
            continue
        if stream.out_of_range and not is_told:  # whoever waits for steps learns it now
            tell_outside(predictor, f"{step.where}: ")
            is_told = True
        _print(stream, scores, step, before, as_json=arguments.json)
    tell_outside(predictor, "in all ")
    return 0


def _open(arguments: argparse.Namespace) -> Predictor:
    """Open what was named, else the first that streams, else the Graph itself."""
    bundle = open_bundle(arguments.bundle)
    if bundle.doubt:
        progress(bundle.doubt)
    target = arguments.target or target_of_variable(bundle)
    able = tuple(
        one
        for one in bundle.artifacts
        if one.states and target in (None, one.target) and arguments.scheme in (None, one.scheme)
    )
    installed = installed_targets()
    if any(one.target in installed for one in able):
        able_only = replace(bundle, artifacts=able)
        chosen = choose_artifact(able_only, target=target, scheme=arguments.scheme)
        return open_artifact(bundle, chosen)
    if target is None and arguments.scheme is None:
        target = next(one for one in GRAPH_TARGETS if one in installed)
    return load(
        arguments.bundle,
        target=target,
        scheme=arguments.scheme,
        max_row_s=arguments.max_row_s,
    )


def _print(stream: Stream, scores: Any, step: _Step, before: int | None, *, as_json: bool) -> None:
    """Print a line; `before` is how many values had been out of range before this step."""
    several = isinstance(scores, dict)
    outputs = {name: row_of(one) for name, one in scores.items()} if several else row_of(scores)
    line: dict[str, Any] = {"step": stream.steps}
    if step.text is not None:
        line["text"] = step.text
    if as_json and before is not None:
        line["out_of_range"] = (stream.out_of_range or 0) - before
    found = stream.decide(scores)[0] if stream.decides else None
    print_outputs(line, outputs, found, as_json=as_json)


# ---- Where steps come from -----------------------------------------------------------------


def _steps(arguments: argparse.Namespace, stream: Stream) -> Iterator[_Step]:
    if arguments.texts:
        yield from (_Step(text, f"text {i}", text) for i, text in enumerate(arguments.texts, 1))
    if arguments.file is None and arguments.texts:
        return
    if arguments.file is not None and arguments.file.lower().endswith(".npz"):
        yield from _array_steps(Path(arguments.file), stream.inputs)
        return
    for number, line in _lines(arguments.file or "-"):
        where = f"line {number}"
        if not line.strip():
            yield _Step(None, where)
        elif stream.takes_texts:
            yield _Step(line, where, line)
        elif number > 1 or _has_number(line):
            yield _Step(_numbers(line, stream.inputs, where), where)
        else:
            progress(f"line 1 is taken for the names of columns: {one_line(line)[:100]}")


def _lines(name: str) -> Iterator[tuple[int, str]]:
    """Read lines as they come."""
    try:
        if name == "-":
            if sys.stdin is None:
                raise DataError("there is no standard input to read steps from: give --file")
            yield from _decoded(sys.stdin.buffer)
        else:
            with Path(name).open("rb") as file:
                yield from _decoded(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot read '{name}': {reason}") from error


def _decoded(file: BinaryIO) -> Iterator[tuple[int, str]]:
    number = 0
    while line := file.readline(LONGEST_LINE_BYTES + 1):
        number += 1
        if number == 1 and line.startswith(ZIP_MAGIC):
            raise DataError(f"the steps are {WORKBOOK}")
        if len(line) > LONGEST_LINE_BYTES:
            raise DataError(f"line {number} is longer than {LONGEST_LINE_BYTES:,} bytes")
        try:
            yield number, line.removeprefix(codecs.BOM_UTF8).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(
                f"line {number}: byte {line[error.start]:#04x} is no UTF-8: save it as UTF-8"
            ) from error


def _cells(line: str) -> list[str]:
    """Return the cells of a line; those that nothing stands in too, but one at its end."""
    text = line.strip().strip("[]()").strip(" ")
    separator = next((one for one in _SEPARATORS if one in text), None)
    if separator is None:
        return text.split()
    parts = text.removesuffix(separator).split(separator)
    return [cell for part in parts for cell in part.split() or [""]]


def _has_number(line: str) -> bool:
    return any(_number(cell) is not None for cell in _cells(line))


def _number(cell: str) -> float | None:
    try:
        return float(cell.strip("\"'[]"))
    except ValueError:
        return None


def _numbers(line: str, inputs: Sequence[GraphInput], where: str) -> list[Any]:
    """Return the inputs of one timestep, in the model's order, from the numbers of a line."""
    cells = _cells(line)
    values = [_number(cell) for cell in cells]
    for cell, value in zip(cells, values, strict=True):
        if value is None:
            raise DataError(f"{where}: {_why_no_number(cell, cells.index(cell) + 1)}")
    sizes = [_step_shape(one) for one in inputs]
    expected = sum(_count(shape) for shape in sizes)
    if len(values) != expected:
        raise DataError(
            f"{where}: it has {len(values)} numbers, the model takes {expected} a timestep"
        )
    flat = iter(values)
    made = [
        _shaped(flat, shape, _whole if one.dtype == "int32" else float)
        for one, shape in zip(inputs, sizes, strict=True)
    ]
    return made if len(made) > 1 else made[0]


def _why_no_number(cell: str, field: int) -> str:
    if not cell:
        return f"field {field} is empty: expected a number; fill it in before the model sees it"
    if re.fullmatch(r"[+-]?\d+,\d+", cell):
        return f"{cell!r} has a decimal comma: write {cell.replace(',', '.')!r}"
    return f"{cell[:40]!r} is no number"


def _step_shape(one: GraphInput) -> tuple[int, ...]:
    """Return the shape of one timestep of one row."""
    sizes = one.shape[2:] if has_time(one) else one.shape[1:]
    if None in sizes:
        raise DataError(
            f"'{one.name}' takes values of any size, which no line can show: use a .npz"
        )
    return tuple(size for size in sizes if size is not None)


def _count(shape: tuple[int, ...]) -> int:
    return shape[0] * _count(shape[1:]) if shape else 1


def _shaped(flat: Iterator[Any], shape: tuple[int, ...], convert: Callable[[Any], Any]) -> Any:
    if not shape:
        return convert(next(flat))
    return [_shaped(flat, shape[1:], convert) for _ in range(shape[0])]


def _whole(value: float) -> int | float:
    """Return an id; a number that is none stays as it is, for the check to name."""
    return int(value) if value.is_integer() else value


def _array_steps(path: Path, inputs: Sequence[GraphInput]) -> Iterator[_Step]:
    """Return the timesteps of each sequence of a `.npz`."""
    from gatelet.runtime.data.arrays import read_arrays

    arrays = list(read_arrays(path, require_targets=False).inputs)
    if len(arrays) != len(inputs):
        raise DataError(
            f"'{path}' has {len(arrays)} inputs, the model takes {len(inputs)}: name them x_0, "
            "x_1, ... in the model's order"
        )
    if len(arrays) == 1 and arrays[0].ndim == len(inputs[0].shape) - 1:
        arrays = [arrays[0][None]]  # a single sequence
    timed = [array for array, one in zip(arrays, inputs, strict=True) if has_time(one)]
    if any(array.ndim < 2 for array in timed):
        raise DataError(f"'{path}': 'x' has the shape {list(timed[0].shape)}, expected [N, T, ...]")
    for row in range(len(arrays[0])):
        if row:
            yield _Step(None, f"row {row}")
        for t in range(min(array.shape[1] for array in timed)):
            given = [
                array[row, t] if has_time(one) else array[row]
                for array, one in zip(arrays, inputs, strict=True)
            ]
            yield _Step(given if len(given) > 1 else given[0], f"row {row}, timestep {t}")
