"""`gatelet diff`.

Not the comparison, which is `gatelet.convert.diff`.
"""

import argparse
from pathlib import Path

from gatelet.cli.evaluate import add_data, read_data
from gatelet.cli.show import format_figure, print_json, print_line, print_table, progress
from gatelet.convert.diff import ArtifactDiff, BundleDiff, Limits, compare
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.terminal import one_line

EXAMPLE = "gatelet diff demo demo-new --data reviews.csv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("old", type=Path, metavar="OLD", help="the bundle that is in use")
    parser.add_argument("new", type=Path, metavar="NEW", help="the bundle that is to replace it")
    add_data(parser, required=False)
    for flag, default, text in (
        ("--max-accuracy-drop", Limits.max_accuracy_drop, "of labelled rows; 0.01 is one point"),
        ("--max-error-growth", Limits.max_error_growth, "of a regression's mean absolute error"),
        ("--max-size-growth", Limits.max_size_growth, "of a file; 0.1 is 10 %%"),
        ("--max-flips", None, "share of labels that change; for rows without labels 0.05"),
    ):
        shown = "" if default is None else f"; default: {default:g}"
        parser.add_argument(
            flag, type=float, default=default, metavar="SHARE", help=f"{text}{shown}"
        )
    parser.add_argument(
        "--atol", type=float, metavar="SCORE", help="largest difference of a score; default: any"
    )
    parser.add_argument("--strict", action="store_true", help="undecided is a failure")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Compare, and exit 1 if the new bundle is worse beyond the limits."""
    limits = Limits(
        max_accuracy_drop=arguments.max_accuracy_drop,
        max_error_growth=arguments.max_error_growth,
        max_flips=arguments.max_flips,
        max_size_growth=arguments.max_size_growth,
        atol=arguments.atol,
    )
    old, new = open_bundle(arguments.old), open_bundle(arguments.new)
    data = read_data(arguments, require_labels=False) if arguments.data else None
    found = compare(old, new, data, limits=limits, progress=progress)
    if arguments.json:
        print_json(found.to_dict())
    else:
        _print(found)
    failing = ("fail", "undecided") if arguments.strict else ("fail",)
    return 1 if found.verdict in failing else 0


def _print(found: BundleDiff) -> None:
    metric = found.metric or "quality"
    header = ("target", "scheme", "bytes", "growth", "max diff", "mean diff", "flips", metric)
    print_table((*header, "verdict"), [_row(one) for one in found.artifacts])
    print_line()
    if found.changes:
        print_table(("changed", "old", "new"), found.changes)
    else:
        print_line("nothing changed in labels, vectorizer, layers, data, settings and versions")
    print_line()
    for one in found.artifacts:
        name = f"{one.target} {one.scheme}"
        for finding in one.findings:
            if finding.verdict != "pass":
                print_line(one_line(f"{name}: {finding.verdict}: {finding.sentence}"))
        if one.note:
            print_line(one_line(f"{name}: {one.note}"))
    print_line(one_line(f"diff over {found.rows:,} rows of {found.source}: {found.verdict}"))


def _row(one: ArtifactDiff) -> tuple[str, ...]:
    old, new = one.bytes
    return (
        one.target,
        one.scheme,
        "-" if new is None else f"{new:,}",
        "-" if not old or new is None else f"{new / old - 1:+.1%}",
        format_figure(one.difference_max),
        format_figure(one.difference_mean),
        "-" if one.flips is None else f"{one.flips.estimate:.2%}",
        "-" if one.quality is None else f"{one.quality[0]:.4g} -> {one.quality[1]:.4g}",
        one.verdict if one.findings else "-",
    )
