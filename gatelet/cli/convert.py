"""`gatelet convert`.

Not the conversion, which is `gatelet.convert`.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatelet.cli.convert_labels import add_labels, read_labels
from gatelet.cli.ending import ended_in_order
from gatelet.cli.evaluate import add_data, read_data
from gatelet.cli.parity import print_report, print_verdict
from gatelet.cli.show import print_json, print_line, progress
from gatelet.convert import convert_with_report
from gatelet.convert.exporters.choice import EVERYTHING
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.parity import ParityReport
from gatelet.convert.reading.vectorizer_files import Padding, read_vectorizer
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.settings import ROUTES
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.terminal import one_line

EXAMPLE = "gatelet convert run --out demo --target onnx --scheme dynamic-int8"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL|RUN", help="a .keras or .h5 file, or a run"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE")
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME",
        help=f"{', '.join(TARGETS)}, or {EVERYTHING}; repeatable",
    )
    parser.add_argument(
        "--scheme",
        action="append",
        default=[],
        metavar="NAME",
        help=f"{', '.join(SCHEMES)}, or {EVERYTHING}; repeatable; not every target has each; "
        "without it each target gets float32 and the smallest scheme that is good enough",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="build the C libraries for it too: see gatelet devices; repeatable",
    )
    parser.add_argument(
        "--vectorizer",
        type=Path,
        metavar="FILE",
        help="a vectorizer.json, or the tokenizer that the model had: JSON, a pickle, a "
        "vocabulary, a TextVectorization; see docs/reading.md",
    )
    parser.add_argument(
        "--maxlen", type=int, metavar="N", help="timesteps that a Tokenizer's ids are padded to"
    )
    for side in ("--padding", "--truncating"):
        parser.add_argument(
            side, choices=("pre", "post"), help="side of a Tokenizer's ids; default: pre"
        )
    add_data(parser, required=False)
    add_labels(parser)
    parser.add_argument(
        "--vocabulary",
        type=int,
        metavar="N",
        help="keep N ids: the rarest words become out-of-vocabulary",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="what model.to_json() returned, for a MODEL that holds weights only",
    )
    parser.add_argument(
        "--scale",
        action="append",
        default=[],
        metavar="FILE",
        help="the scaler that stood outside the model, JSON or a scikit-learn scaler: the bundle "
        "takes raw units; outputs=FILE for that of the outputs; repeatable",
    )
    parser.add_argument(
        "--route",
        choices=ROUTES,
        default="graph",
        help="keras: for layers that the Graph does not know, TensorFlow's own converters",
    )
    parser.add_argument(
        "--no-keras", action="store_true", help="check parity against the Graph only"
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
    parser.add_argument(
        "--strict",
        action="store_true",
        help="undecided is a failure, and so are files that were not run here, and a model that "
        "has learnt nothing",
    )
    parser.add_argument("--json", action="store_true", help="print the parity report as JSON")


def output_folder(path: Path) -> Path:
    """Return a folder under its own name: '.' has none for a bundle, and cannot be replaced."""
    return path if path.name not in ("", "..") else path.resolve()


def run(arguments: argparse.Namespace) -> int:
    """Convert, and exit 1 if an artifact failed parity."""
    with ended_in_order():
        bundle, report = _convert(arguments)
    provenance = bundle.manifest.get("provenance", {})
    if arguments.json:
        more = {key: provenance[key] for key in ("processor_s", "pruning") if key in provenance}
        print_json({**report.to_dict(), **more})
    else:
        print_report(bundle, report)
        _print_provenance(provenance)
        print_verdict(report)
    return 1 if report.is_failure(strict=arguments.strict) else 0


def _convert(arguments: argparse.Namespace) -> tuple[Bundle, ParityReport]:
    data = read_data(arguments, require_labels=False) if arguments.data else None
    return convert_with_report(
        arguments.model,
        output_folder(arguments.out),
        targets=arguments.target,
        schemes=arguments.scheme,
        devices=arguments.device,
        vectorizer=read_vectorizer(
            arguments.vectorizer,
            arguments.model,
            config=arguments.config,
            padded=Padding(arguments.maxlen, arguments.padding, arguments.truncating),
            progress=progress,
        ),
        data=data,
        **read_labels(arguments),
        strip=arguments.strip,
        stream=arguments.stream,
        vocabulary=arguments.vocabulary,
        golden_texts=not arguments.no_golden_texts,
        with_keras=not arguments.no_keras,
        config=arguments.config,
        scale=arguments.scale,
        route=arguments.route,
        progress=progress,
    )


def _print_provenance(provenance: Mapping[str, Any]) -> None:
    """Print what a smaller vocabulary cost, and where the processor time went."""
    pruning = provenance.get("pruning")
    if pruning is not None:
        print_line(one_line(_cost_of(pruning)))
    if "processor_s" not in provenance:
        return
    steps = sorted(provenance["processor_s"].items(), key=lambda step: -step[1])
    most = ", ".join(f"{name} {used:.1f}" for name, used in steps[1:6])
    print_line(one_line(f"processor time {steps[0][1]:.1f} s: {most}"))


def _cost_of(pruning: Mapping[str, Any]) -> str:
    text = f"vocabulary {pruning['from']:,} -> {pruning['to']:,} ids"
    if "mean_difference" in pruning:
        text += (
            f"; of {pruning['rows']:,} rows {pruning['rows_without_dropped_words']:,} have no "
            f"dropped word; scores move by {pruning['mean_difference']:.3g} on average"
        )
    if "flips" in pruning:
        change = pruning["accuracy_difference"]
        text += (
            f"; {pruning['flips']:.2%} of the labels change; "
            f"accuracy {pruning['accuracy_before']:.4f} -> "
            f"{pruning['accuracy_after']:.4f} ({change['low']:+.4f} to {change['high']:+.4f})"
        )
    return text
