"""`gatelet convert`.

Not the conversion, which is `gatelet.convert`.
"""

import argparse
from pathlib import Path

from gatelet.cli.evaluate import add_data, read_data
from gatelet.cli.parity import print_report
from gatelet.cli.show import print_json, progress
from gatelet.convert import convert_with_report
from gatelet.convert.model_source import read_vectorizer

EXAMPLE = "gatelet convert run --out demo --target onnx --scheme dynamic-int8"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", type=Path, metavar="MODEL|RUN", help="a .keras file or a run")
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE")
    parser.add_argument(
        "--target", action="append", default=[], metavar="NAME", help="litert, onnx or tflm"
    )
    parser.add_argument(
        "--scheme",
        action="append",
        default=[],
        metavar="NAME",
        help="float32 or dynamic-int8; repeatable",
    )
    parser.add_argument(
        "--vectorizer",
        type=Path,
        metavar="FILE",
        help="a vectorizer.json, or what Tokenizer.to_json() gave",
    )
    add_data(parser, required=False)
    parser.add_argument(
        "--labels", metavar="A,B", help="names of the outputs, for a model without a run"
    )
    parser.add_argument("--strip", action="store_true", help="leave the Keras file out")
    parser.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="make streaming files too, for sequences that come step by step; by default for "
        "models with stateful layers",
    )
    parser.add_argument(
        "--no-golden-texts", action="store_true", help="keep no texts in the bundle"
    )
    parser.add_argument("--json", action="store_true", help="print the parity report as JSON")


def output_folder(path: Path) -> Path:
    """Give a folder its own name: '.' has none to call a bundle by, and cannot be replaced."""
    return path if path.name not in ("", "..") else path.resolve()


def run(arguments: argparse.Namespace) -> int:
    """Convert, and exit 1 if an artifact failed parity."""
    data = read_data(arguments, require_labels=False) if arguments.data else None
    bundle, report = convert_with_report(
        arguments.model,
        output_folder(arguments.out),
        targets=arguments.target,
        schemes=arguments.scheme,
        vectorizer=read_vectorizer(arguments.vectorizer, arguments.model),
        data=data,
        labels=tuple(arguments.labels.split(",")) if arguments.labels else (),
        strip=arguments.strip,
        stream=arguments.stream,
        golden_texts=not arguments.no_golden_texts,
        progress=progress,
    )
    if arguments.json:
        print_json(report.to_dict())
    else:
        print_report(bundle, report)
    return 1 if report.verdict == "fail" else 0
