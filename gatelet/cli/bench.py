"""`gatelet bench`.

Not the measurement, which is `gatelet.runtime.measure.bench`.
"""

import argparse
from pathlib import Path

from gatelet.cli.show import print_json, print_line, print_table, progress
from gatelet.errors import ConfigError
from gatelet.runtime.backends import TARGETS
from gatelet.runtime.files import check_output_file, write_atomically
from gatelet.runtime.measure.bench import BATCHES, LENGTHS, Result, measure
from gatelet.runtime.terminal import one_line

EXAMPLE = "gatelet bench demo --target litert --svg bench.svg"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="T",
        choices=TARGETS,
        help=f"{', '.join(TARGETS)}; repeatable; default: the artifacts'",
    )
    parser.add_argument(
        "--scheme", action="append", default=[], metavar="S", help="repeatable; default: all"
    )
    parser.add_argument(
        "--length", type=int, action="append", metavar="N", help="words; default: 5, 20 and 50"
    )
    parser.add_argument(
        "--batch", type=int, action="append", metavar="N", help="rows; default: 1, 8 and 64"
    )
    parser.add_argument("--calls", type=int, default=200, metavar="N", help="default: 200")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="default: 1")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    lengths, batches = arguments.length or LENGTHS, arguments.batch or BATCHES
    if min(*lengths, *batches, arguments.calls, arguments.threads) < 1:
        raise ConfigError("--length, --batch, --calls and --threads must be at least 1")
    if arguments.svg is not None:
        check_output_file(arguments.svg)
    progress("measuring; a busy machine makes the spread large")
    results = measure(
        arguments.bundle,
        targets=arguments.target,
        schemes=arguments.scheme,
        lengths=lengths,
        batches=batches,
        calls=arguments.calls,
        threads=arguments.threads,
    )
    if arguments.svg is not None:
        from gatelet.runtime.measure.bench_picture import bench_svg

        title = f"Latency of {arguments.bundle.name}"
        write_atomically(arguments.svg, bench_svg(results, title=title).encode())
        progress(f"wrote {arguments.svg}")
    if arguments.json:
        print_json({"results": [result.to_dict() for result in results]})
    else:
        _show(results)
    return 0


def _show(results: list[Result]) -> None:
    header = ("target", "scheme", "length", "batch", "median us", "p90", "p99", "spread", "rows/s")
    rows = [
        (
            result.target,
            result.scheme,
            str(one.length),
            str(one.batch),
            f"{one.median_us:,.1f}",
            f"{one.p90_us:,.1f}",
            f"{one.p99_us:,.1f}",
            f"{100 * one.spread:.0f} %",
            f"{one.rows_per_s:,.0f}",
        )
        for result in results
        for one in result.measured
    ]
    print_table(header, rows)
    print_line()
    starts = [
        (
            result.target,
            result.scheme,
            one_line(result.engine),
            f"{result.cold_start_ms:,.0f}",
            f"{result.peak_rss_mb:,.1f}",
        )
        for result in results
    ]
    print_table(("target", "scheme", "engine", "cold start ms", "peak MB"), starts)
