"""`gatelet quickstart`: the whole way on real text.

Not a special case: it calls what `train`, `convert` and `predict` call.
"""

import argparse
from pathlib import Path

from gatelet.cli.convert import output_folder
from gatelet.cli.ending import ended_in_order
from gatelet.cli.show import command_line, print_line, print_table, progress
from gatelet.cli.train import add_settings, config_of, print_baseline, test_figures
from gatelet.convert import convert_with_report
from gatelet.runtime.bundle.opening import MANIFEST, Artifact, Bundle
from gatelet.runtime.measure.latency import median_latencies_us
from gatelet.runtime.predictor.loading import load
from gatelet.runtime.stages import check_output_directory, stage_beside
from gatelet.train import train

EXAMPLE = "gatelet quickstart --out demo"
TEXTS = {
    "reviews-zh": ("房间很干净，服务员态度很好", "质量太差了，非常失望"),  # noqa: RUF001  Chinese commas
}
DEFAULT_TEXTS = (
    "a wonderful film, moving and beautifully acted",
    "dull, slow and a waste of time",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.set_defaults(config=None)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("demo"),
        metavar="DIR",
        help="the bundle; DIR-run is the run",
    )
    parser.add_argument("--corpus", metavar="NAME", help="default: reviews-en")
    add_settings(parser, without=("out", "corpus"))


def run(arguments: argparse.Namespace) -> int:
    """Train, convert, prove and predict."""
    out = output_folder(arguments.out)
    check_output_directory(out, marker=MANIFEST, kind="bundle")
    with stage_beside(out):
        pass  # a place that cannot be written is told before the training
    corpus = arguments.corpus or (None if arguments.data else "reviews-en")
    trained = train(config_of(arguments, out=out.with_name(f"{out.name}-run"), corpus=corpus))
    with ended_in_order():
        bundle, report = convert_with_report(trained, out, progress=progress)
    progress("measuring latencies")
    figures = test_figures(trained)
    print_line(f"test accuracy {figures['accuracy']:.4f}")
    print_baseline(figures)
    print_line()
    _print_artifacts(bundle)
    print_line()
    print_line(
        f"parity over {report.rows:,} test texts against {' and '.join(report.oracles)}: "
        f"{report.verdict}"
    )
    print_line()
    texts = TEXTS.get(corpus or "", DEFAULT_TEXTS)
    predictor = load(out)
    for text, prediction in zip(texts, predictor.predict(list(texts)), strict=True):
        print_line(f"{prediction.label}  {prediction.score:.4f}  {text}")
    print_line()
    print_line(f"next: {command_line('predict', out, texts[0].split(',')[0])}")
    return 1 if report.verdict == "fail" else 0


def _print_artifacts(bundle: Bundle) -> None:
    latencies = median_latencies_us(bundle)
    float_bytes = {a.target: a.bytes for a in bundle.artifacts if a.scheme == "float32"}
    rows = [
        (
            artifact.target,
            artifact.scheme,
            f"{artifact.bytes:,}",
            _ratio(artifact, float_bytes),
            artifact.verdict,
            _latency(latencies.get((artifact.target, artifact.scheme))),
        )
        for artifact in bundle.artifacts
    ]
    header = ("target", "scheme", "bytes", "of float32", "parity", "median latency")
    print_table(header, rows)


def _ratio(artifact: Artifact, float_bytes: dict[str, int]) -> str:
    whole = float_bytes.get(artifact.target)
    return "-" if whole is None else f"{artifact.bytes / whole:.3f}"


def _latency(latency_us: float | None) -> str:
    return "-" if latency_us is None else f"{latency_us:,.0f} us"
