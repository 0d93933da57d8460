"""The files that `gatelet parity` writes: an HTML report and JUnit XML.

Not their content, which is `gatelet.convert.report`.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import gatelet
from gatelet.cli.show import progress
from gatelet.convert.parity import ParityReport
from gatelet.convert.report import Story, junit_xml, page
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.files import check_output_file, write_atomically
from gatelet.runtime.measure.latency import latencies_us


def add_reports(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write an HTML report, in one file"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML for CI")
    parser.add_argument(
        "--no-texts", action="store_true", help="keep texts, words and ids out of the report"
    )


def check_places(arguments: argparse.Namespace) -> None:
    """Refuse places that cannot be written to before the work is done.

    Raises:
        OutputError: As `check_output_file`.
    """
    for path in (arguments.report, arguments.junit):
        if path is not None:
            check_output_file(path)


def write_reports(arguments: argparse.Namespace, bundle: Bundle, report: ParityReport) -> None:
    """Write the files that were asked for, each whole or not at all."""
    now = datetime.now(UTC)
    if arguments.report is not None:
        progress("measuring latencies")
        story = Story(
            bundle=bundle,
            report=report,
            measured=report.measured,
            latencies_us=latencies_us(bundle),
            data=arguments.data.name if arguments.data is not None else "",
            made=f"Made by gatelet {gatelet.__version__} on {now:%Y-%m-%d %H:%M} UTC.",
            with_texts=not arguments.no_texts,
        )
        write_atomically(arguments.report, page(story).encode())
        progress(f"wrote {arguments.report}")
    if arguments.junit is not None:
        timestamp = f"{now:%Y-%m-%dT%H:%M:%S}"
        content = junit_xml(report, name=bundle.name, timestamp=timestamp, strict=arguments.strict)
        write_atomically(arguments.junit, content)
        progress(f"wrote {arguments.junit}")
