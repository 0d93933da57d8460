"""`gatelet tune`.

Not the search, which is `gatelet.train.tune`.
"""

import argparse
from pathlib import Path
from typing import Any

from gatelet.cli.convert import output_folder
from gatelet.cli.show import command_line, print_json, print_line, print_table
from gatelet.cli.train import add_settings, config_of, counted, print_baseline, test_figures
from gatelet.cli.tune_measures import exporting, timing
from gatelet.train.config import settings
from gatelet.train.inputs.reading import takes_features
from gatelet.train.tasks import headline
from gatelet.train.tune import Point, Result, TuneConfig, default_space, read_space, tune
from gatelet.train.tune.config import AGAINST, ENGINES, SCHEME
from gatelet.train.tune.costs import STORED
from gatelet.train.tune.folder import RUN
from gatelet.train.tune.front import QUALITIES
from gatelet.train.tune.page import shown

EXAMPLE = "gatelet tune --data reviews.csv --out study --trials 30 --budget-bytes 50000"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags: those of the search, and the settings of a training."""
    parser.add_argument("--config", type=Path, metavar="TOML", help="file with settings of train")
    parser.add_argument(
        "--space",
        type=Path,
        metavar="TOML",
        help="what varies: a setting's name, and a list of choices or a range "
        "{ low, high, log, step }; a setting that is given as a flag does not vary",
    )
    parser.add_argument("--trials", type=int, default=30, metavar="N", help="default: 30")
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="no trial begins later; default: no limit"
    )
    parser.add_argument(
        "--budget-bytes",
        type=int,
        metavar="N",
        help="the most bytes that a trial may have, but for the recipe's own; the best of them is "
        "chosen. Without it the smallest one within a point of the best is",
    )
    parser.add_argument(
        "--against",
        default="bytes",
        metavar="COST",
        help=f"{', '.join(AGAINST)}: what quality is weighed against; default: bytes",
    )
    parser.add_argument(
        "--scheme",
        default=SCHEME,
        metavar="NAME",
        help=f"{', '.join(STORED)}: of the c artifact that is counted; default: {SCHEME}",
    )
    parser.add_argument(
        "--quality",
        default="accuracy",
        metavar="NAME",
        help=f"{', '.join(QUALITIES)}: quality, on the validation part; default: accuracy",
    )
    parser.add_argument(
        "--engine",
        default="optuna",
        metavar="NAME",
        help=f"{', '.join(ENGINES)}: ray trains several trials at once; default: optuna",
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="of ray; default: 2")
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="of a Ray cluster; default: one is begun here"
    )
    add_settings(parser, without=("out",))
    parser.add_argument("--out", type=Path, required=True, metavar="STUDY", help="the study")
    parser.add_argument("--json", action="store_true", help="print the study as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Search, and show the front."""
    result = tune(_config(arguments))
    figures = test_figures(result.run)
    if arguments.json:
        print_json(_as_dict(result, figures))
        return 0
    _print_front(result)
    print_line()
    chosen = result.chosen.trial.number
    print_line(
        f"chosen: trial {chosen}, test {headline(figures)} on {figures['rows']:,} "
        f"{counted(result.run)}"
    )
    print_baseline(figures)
    print_line(f"next: {command_line('convert', result.run.path, '--out', 'BUNDLE')}")
    return 0


def _config(arguments: argparse.Namespace) -> TuneConfig:
    out = output_folder(arguments.out)
    given = [one.name for one in settings() if getattr(arguments, one.name, None) is not None]
    base = config_of(arguments, out=out / RUN)
    kind = "features" if takes_features(base) else "texts"
    space = default_space(kind) if arguments.space is None else read_space(arguments.space)
    return TuneConfig(
        base=base,
        out=out,
        space=space.without(given),
        trials=arguments.trials,
        minutes=arguments.minutes,
        budget_bytes=arguments.budget_bytes,
        against=arguments.against,
        quality=arguments.quality,
        scheme=arguments.scheme,
        engine=arguments.engine,
        workers=arguments.workers,
        address=arguments.address,
        latency=timing(arguments.scheme) if arguments.against == "latency" else None,
        export=exporting(arguments.scheme),
    )


def _print_front(result: Result) -> None:
    varied = result.config.space.names
    is_timed = result.config.against == "latency"
    figures = ("trial", result.config.figure, "loss", "bytes", "exported", "macs/step")
    header = (*figures, *(("us",) if is_timed else ()), *varied)
    print_table(header, [_row(result, one, is_timed=is_timed) for one in result.front])


def _row(result: Result, point: Point, *, is_timed: bool) -> tuple[str, ...]:
    trial = point.trial
    kept = trial.epochs[trial.best - 1]
    return (
        str(trial.number),
        f"{kept.val_accuracy:.4f}",
        f"{kept.val_loss:.4f}",
        f"{trial.bytes:,}",
        "-" if point.exported_bytes is None else f"{point.exported_bytes:,}",
        f"{point.macs:,}",
        *((f"{trial.cost:.0f}",) if is_timed else ()),
        *(shown(one) for one in result.varied(point).values()),
    )


def _as_dict(result: Result, figures: dict[str, Any]) -> dict[str, Any]:
    states = [one.state for one in result.points]
    return {
        "study": str(result.config.out),
        "run": str(result.run.path),
        "trials": {state: states.count(state) for state in ("complete", "stopped", "failed")},
        "chosen": result.to_dict(result.chosen),
        "front": [result.to_dict(one) for one in result.front],
        "test": figures,
    }
