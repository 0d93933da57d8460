"""`gatelet parity`.

Not the checks, which are `gatelet.convert.parity`.
"""

import argparse
from pathlib import Path

from gatelet.cli.evaluate import add_data, read_data
from gatelet.cli.reports import add_reports, check_places, write_reports
from gatelet.cli.show import format_figure, print_json, print_table, progress
from gatelet.convert.parity import ParityReport
from gatelet.convert.proof import prove
from gatelet.runtime.bundle import Bundle, open_bundle

EXAMPLE = "gatelet parity demo --data reviews.csv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    add_data(parser, required=False)
    parser.add_argument(
        "--no-keras", action="store_true", help="compare with the Graph only, not with Keras"
    )
    parser.add_argument("--strict", action="store_true", help="undecided is a failure")
    add_reports(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Check every artifact, and exit 1 if one fails."""
    check_places(arguments)
    bundle = open_bundle(arguments.bundle)
    data = read_data(arguments, require_labels=False) if arguments.data else None
    report = prove(bundle, data, with_keras=not arguments.no_keras, progress=progress)
    if arguments.json:
        print_json(report.to_dict())
    else:
        print_report(bundle, report)
    write_reports(arguments, bundle, report)
    failing = ("fail", "undecided") if arguments.strict else ("fail",)
    return 1 if report.verdict in failing else 0


def print_report(bundle: Bundle, report: ParityReport) -> None:
    """Print one line an artifact, and each check that did not pass."""
    sizes = {(a.target, a.scheme): a.bytes for a in bundle.artifacts}
    rows = []
    for one in report.artifacts:
        figures = {check.name: check.figure for check in one.checks}
        rows.append(
            (
                one.target,
                one.scheme,
                f"{sizes[(one.target, one.scheme)]:,}",
                format_figure(figures.get("ids")),
                format_figure(figures.get("scores_max")),
                format_figure(figures.get("scores_mean")),
                format_figure(figures.get("flips")),
                one.verdict,
            )
        )
    header = ("target", "scheme", "bytes", "ids", "max diff", "mean diff", "flips", "parity")
    print_table(header, rows)
    for one in report.artifacts:
        for check in one.checks:
            if check.verdict != "pass":
                print(
                    f"{one.target} {one.scheme}: {check.name} is {format_figure(check.figure)} "
                    f"{check.unit}, limit {format_figure(check.limit)}: {check.verdict}"
                )
        if one.note:
            print(f"{one.target} {one.scheme}: {one.note}")
    print(
        f"parity over {report.rows:,} rows against {' and '.join(report.oracles)}: {report.verdict}"
    )
