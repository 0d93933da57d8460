"""`gatelet parity`.

Not the checks, which are `gatelet.convert.parity`.
"""

import argparse
from pathlib import Path

from gatelet.cli.ending import ended_in_order
from gatelet.cli.evaluate import add_data, read_data
from gatelet.cli.reports import add_reports, check_places, write_reports
from gatelet.cli.show import (
    ProgressBar,
    format_figure,
    print_json,
    print_line,
    print_table,
    progress,
)
from gatelet.convert.parity import ArtifactReport, ParityReport, Settings
from gatelet.convert.parity.limits import find_settings, read_settings
from gatelet.convert.proving import prove
from gatelet.runtime.bundle.opening import Bundle, open_bundle
from gatelet.runtime.terminal import one_line

EXAMPLE = "gatelet parity demo --data reviews.csv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    add_data(parser, required=False)
    parser.add_argument(
        "--no-keras", action="store_true", help="compare with the Graph only, not with Keras"
    )
    add_limits(parser)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="undecided is a failure, and so are files that were not run here, and a model that "
        "has learnt nothing",
    )
    add_reports(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that replace limits of the tolerance table."""
    parser.add_argument(
        "--max-accuracy-drop",
        type=float,
        metavar="SHARE",
        help="most that accuracy, F1, AUC, Brier score or calibration error may become worse: "
        "0.005 is half a point",
    )
    parser.add_argument(
        "--max-flips",
        type=float,
        metavar="SHARE",
        help="largest share of labels that may change: 0.01 is 1 %%",
    )
    parser.add_argument(
        "--atol",
        type=float,
        metavar="X",
        help="largest difference of a score, relative to max(1, y)",
    )


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the limits: of the flags, else of `gatelet.toml` here or beside the data."""
    flags = Settings(
        max_accuracy_drop=arguments.max_accuracy_drop,
        max_flips=arguments.max_flips,
        atol=arguments.atol,
        strict=arguments.strict,
    )
    path = find_settings(arguments.data)
    if path is None:
        return flags
    found = read_settings(path)
    if found != Settings():
        progress(f"limits of '{path}'")
    return flags.over(found)


def run(arguments: argparse.Namespace) -> int:
    """Check every artifact, and exit 1 if one fails."""
    check_places(arguments)
    settings = settings_of(arguments)
    arguments.strict = settings.strict
    bundle = open_bundle(arguments.bundle)
    data = read_data(arguments, require_labels=False) if arguments.data else None
    with ended_in_order(), ProgressBar() as bar:
        report = prove(
            bundle,
            data,
            with_keras=not arguments.no_keras,
            settings=settings,
            progress=bar.tell,
            advance=bar.advance,
        )
    if arguments.json:
        print_json(report.to_dict())
    else:
        print_report(bundle, report)
        print_verdict(report)
    write_reports(arguments, bundle, report)
    return 1 if report.is_failure(strict=settings.strict) else 0


_SHOWN = {"flips": "", "scores_max": "the largest difference, {figure} of the spread, is "}
"""How lines begin that tell of figures which the table has, whatever they decide."""


_NAMED = 4
"""How many files the last line names that were not run."""


def print_report(bundle: Bundle, report: ParityReport) -> None:
    """Print one line an artifact, and each check that did not pass."""
    sizes = {(a.target, a.scheme): a.bytes for a in bundle.artifacts}
    several = len({one.engine for one in report.artifacts}) > len(
        {one.target for one in report.artifacts}
    )
    rows = []
    for one in report.artifacts:
        figures = {check.name: check.figure for check in one.checks}
        rows.append(
            (
                one.target,
                one.scheme,
                *((one.engine or "-",) if several else ()),
                f"{sizes[(one.target, one.scheme)]:,}",
                format_figure(figures.get("ids")),
                format_figure(figures.get("scores_max")),
                format_figure(figures.get("scores_mean")),
                format_figure(figures.get("flips")),
                *_quality_cells(report, one).values(),
                one.verdict,
            )
        )
    quality = _quality_cells(report, report.artifacts[0]) if report.artifacts else ()
    engine = ("engine",) if several else ()
    header = ("target", "scheme", *engine, "bytes", "ids", "max diff", "mean diff", "flips")
    print_table((*header, *quality, "parity"), rows)
    for one in report.artifacts:
        _print_remarks(report, one)
    for file in report.files:
        if file.verdict == "fail" and not any(file.path == a.path for a in bundle.artifacts):
            print_line(one_line(f"{file.what}: '{file.path}': fail; {file.finding.note}"))
    for note in report.notes:
        print_line(f"note: {one_line(note)}")
    for warning in report.warnings:
        print_line(f"warning: {one_line(warning)}")
    _print_quality(report)


def print_verdict(report: ParityReport) -> None:
    """Print the lines that end a report: the verdict, and over which rows."""
    over = f"over {report.rows:,} {one_line(report.over)}"
    left = [one.path for one in report.not_run]
    told = ""
    if left:
        were = "file was" if len(left) == 1 else "files were"
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        told = f"; {len(left)} {were} not run here: {', '.join(left[:_NAMED])}{more}"
    print_line(
        one_line(f"parity {over} against {' and '.join(report.oracles)}: {report.verdict}{told}")
    )
    rounded = list(dict.fromkeys(one.scheme for one in report.artifacts if one.costs))
    if report.made_up and rounded:
        costs = "costs" if len(rounded) == 1 else "cost"
        print_line(f"{over}: give --data to learn what {' and '.join(rounded)} {costs} on yours")


def _print_quality(report: ParityReport) -> None:
    """Print the Graph's own figures, each beside that of the baseline."""
    told = [
        f"{name} {value:.4g} ({report.baseline[name]:.4g})"
        for name, value in report.quality.items()
        if name in report.baseline
    ]
    if told:
        print_line(
            f"the Graph's own figures, and in brackets those of {one_line(report.baseline_name)}: "
            f"{', '.join(told)}"
        )


def _quality_cells(report: ParityReport, one: ArtifactReport) -> dict[str, str]:
    """Return by their titles an artifact's accuracy and its drop, or the errors of its values."""
    if "accuracy" in report.quality:
        drop = next((c for c in one.checks if c.name == "accuracy_drop"), None)
        accuracy, dropped = "-", "-"
        if drop is not None and drop.figure is not None and drop.interval is not None:
            low, high = drop.interval
            accuracy = f"{one.quality['accuracy']:.4f}"
            dropped = f"{drop.figure:.4f} [{low:.4f}, {high:.4f}]"
        return {"accuracy": accuracy, "drop, 95 % interval": dropped}
    if "mae" not in report.quality:
        return {}
    cells = {}
    for figure, title in (("mae", "MAE"), ("r2", "R2")):
        horizons = [name for name in report.quality if name.startswith(f"{figure}_")]
        told = [format_figure(one.quality.get(name)) for name in horizons or [figure]]
        cells[f"{title} a horizon" if horizons else title] = " ".join(told)
    return cells


def _print_remarks(report: ParityReport, one: ArtifactReport) -> None:
    """Print the checks that did not pass, what is to blame, and a threshold that would fit."""
    name = f"{one.target} {one.scheme}"
    for check in one.checks:
        note = f"; {one_line(check.note)}" if check.note else ""
        if check.verdict in ("pass", "shown"):
            if check.name in _SHOWN and check.figure and check.note:
                figure = format_figure(check.figure)
                print_line(
                    f"{name}: {_SHOWN[check.name].format(figure=figure)}{one_line(check.note)}"
                )
            continue
        if check.verdict == "not checked":
            print_line(f"{name}: {check.name}: not checked{note}")
            continue
        print_line(
            f"{name}: {check.name} is {format_figure(check.figure)} {check.unit}, limit "
            f"{format_figure(check.limit)}: {check.verdict}{note}"
        )
    for sentence in one.diagnosis:
        print_line(f"{name}: {one_line(sentence)}")
    if one.threshold is not None and one.verdict in ("fail", "undecided"):
        print_line(
            f"{name}: on these rows the threshold {one.threshold:.4f} makes the most labels right; "
            "it is not applied"
        )
    if one.note:
        print_line(f"{name}: {one.note}")
