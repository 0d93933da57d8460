"""`gatelet predict`.

Not the prediction, which is `gatelet.runtime`.
"""

import argparse
import codecs
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

from gatelet.cli.show import decision_line, print_json, print_line, progress
from gatelet.errors import ConfigError, DataError
from gatelet.runtime import load
from gatelet.runtime.backends import TARGETS
from gatelet.runtime.predictor.loading import MAX_ROW_S
from gatelet.runtime.terminal import one_line

EXAMPLE = 'gatelet predict demo "a wonderful film"'
_KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_TABLES = (*_KINDS, *(f"{kind}.gz" for kind in _KINDS))


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument("texts", nargs="*", metavar="TEXT")
    parser.add_argument(
        "--file",
        metavar="F",
        help="texts to predict: CSV, TSV or JSONL, or one text a line; - is standard input; "
        "for a model of numbers a .npz with x",
    )
    parser.add_argument("--text-column", default="text", metavar="NAME", help="default: text")
    parser.add_argument("--target", metavar="T", choices=TARGETS, help=", ".join(TARGETS))
    parser.add_argument(
        "--scheme", metavar="S", help="one that the bundle has, such as float32 or dynamic-int8"
    )
    parser.add_argument(
        "--stream",
        action="store_true",
        help="predict after each step: a line of numbers or words, from --file (also .npz) or "
        "standard input; an empty line starts a new sequence",
    )
    parser.add_argument(
        "--max-row-s",
        type=seconds,
        default=MAX_ROW_S,
        metavar="S",
        help=f"refuse a bundle if one row may take longer, as estimated before it runs; default: "
        f"{MAX_ROW_S:g}, inf for no limit",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line a text or step")


def seconds(written: str) -> float:
    """Read a limit; argparse tells the name of this function in its message."""
    found = float(written)
    if not found > 0:
        raise ValueError(written)
    return found


def run(arguments: argparse.Namespace) -> int:
    """Predict each text, or after each step."""
    if arguments.stream:
        from gatelet.cli.predict_stream import run_stream

        return run_stream(arguments)
    if arguments.file is not None and arguments.file.lower().endswith(".npz"):
        from gatelet.cli.predict_arrays import run_arrays

        return run_arrays(arguments)
    texts = [*arguments.texts, *_read_texts(arguments)]
    if not texts:
        if arguments.file is None:
            raise ConfigError("there is no text to predict: give texts, or --file")
        raise DataError(f"'{arguments.file}' holds no text to predict: give texts, or --file")
    gc.disable()  # a start makes many objects and drops none
    try:
        predictor = load(
            arguments.bundle,
            target=arguments.target,
            scheme=arguments.scheme,
            max_row_s=arguments.max_row_s,
        )
    finally:
        gc.enable()
    if predictor.note:
        progress(predictor.note)
    progress(f"using {predictor.target} {predictor.scheme} ({predictor.engine})")
    for text, prediction in zip(texts, predictor.predict(texts), strict=True):
        if arguments.json:
            print_json({"text": text, **prediction.to_dict()})
        else:
            print_line(f"{decision_line(prediction)}  {one_line(text)}")
    return 0


def _read_texts(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.file is None:
        return
    if arguments.file.lower().endswith(_TABLES) or Path(arguments.file).is_dir():
        from gatelet.runtime.data.dataset import read

        yield from read(
            arguments.file, text_column=arguments.text_column, require_labels=False
        ).texts
        return
    try:
        data = (
            sys.stdin.buffer.read() if arguments.file == "-" else Path(arguments.file).read_bytes()
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot read '{arguments.file}': {reason}") from error
    lines = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    for number, line in enumerate(lines[:-1] if not lines[-1] else lines, 1):
        try:
            yield line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"'{arguments.file}', line {number}: byte {line[error.start]:#04x} is no UTF-8: "
                "save the file as UTF-8"
            ) from error
