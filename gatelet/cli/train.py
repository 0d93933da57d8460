"""`gatelet train`.

Not the training, which is `gatelet.train`.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatelet.cli.show import command_line, print_json, print_line, progress
from gatelet.runtime.data.run import Run
from gatelet.train import train
from gatelet.train.baseline import baseline_line
from gatelet.train.config import TrainConfig, settings
from gatelet.train.recipe import recipe_names
from gatelet.train.tasks import headline

INTERRUPTED = 130
"""What a shell reports of a program that Ctrl-C ended."""
EXAMPLE = "gatelet train --data reviews.csv --out run --epochs 5"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare a flag for each field of TrainConfig."""
    parser.add_argument(
        "--config", type=Path, metavar="TOML", help="file with these settings, over the recipe's"
    )
    add_settings(parser)
    parser.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint of a stopped training"
    )
    parser.add_argument(
        "--tensorboard", type=Path, metavar="DIR", help="write event files for TensorBoard there"
    )
    parser.add_argument("--json", action="store_true", help="print the test figures as JSON")


def add_settings(parser: argparse.ArgumentParser, *, without: tuple[str, ...] = ()) -> None:
    """Declare the fields of TrainConfig as flags, which are None unless given, and the recipe."""
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help=f"settings to begin with: {', '.join(recipe_names())}, or a TOML file, such as the "
        "config.toml of a run; --config goes over it, and flags over both",
    )
    for setting in settings():
        if setting.name in without:
            continue
        default = "" if setting.default is None else f" (default {setting.default!r})"
        text = (setting.help + default).replace("%", "%%")
        if setting.kind is bool:
            parser.add_argument(
                setting.flag, action=argparse.BooleanOptionalAction, default=None, help=text
            )
        else:
            parser.add_argument(
                setting.flag,
                type=setting.kind,
                default=None,
                help=text,
                metavar=_metavar(setting.kind),
            )


def config_of(arguments: argparse.Namespace, **overrides: object) -> TrainConfig:
    """Make the configuration from flags, over a TOML file, over a recipe, over defaults."""
    flags = {s.name: getattr(arguments, s.name, None) for s in settings()}
    return TrainConfig.resolve(
        recipe=getattr(arguments, "recipe", None),
        toml=getattr(arguments, "config", None),
        overrides={**flags, **overrides},
    )


def run(arguments: argparse.Namespace) -> int:
    """Train; 130 after Ctrl-C, with the best epoch so far."""
    config = config_of(arguments)
    trained = train(config, resume=arguments.resume, tensorboard=arguments.tensorboard)
    figures, interrupted = test_figures(trained), trained.provenance.get("interrupted")
    folds = _folds(config) if config.folds and not interrupted else {}
    if arguments.json:
        print_json({"run": str(trained.path), **figures, **({"folds": folds} if folds else {})})
    else:
        for name, one in folds.items():
            print_line(
                f"{config.folds} folds: {name} {one['mean']:.4g}, standard deviation "
                f"{one['deviation']:.2g}"
            )
        print_line(f"test {headline(figures)} on {figures['rows']:,} {counted(trained)}")
        print_baseline(figures)
        print_line(f"next: {command_line('convert', trained.path, '--out', 'BUNDLE')}")
    return INTERRUPTED if interrupted else 0


def _folds(config: TrainConfig) -> dict[str, Any]:
    from gatelet.train.folds import cross_validate

    return cross_validate(config, progress=progress).to_dict()


def counted(trained: Run) -> str:
    """Return what the figures of a run count."""
    return "timesteps" if trained.task == "tags" else "rows"


def test_figures(trained: Run) -> dict[str, Any]:
    """Read the figures of the test part, which training leaves in metrics.json."""
    found: dict[str, Any] = json.loads((trained.path / "metrics.json").read_text("utf-8"))
    return found


def print_baseline(figures: Mapping[str, Any]) -> None:
    """Print what the baseline reaches on the same rows, or why that is not known."""
    if line := baseline_line(figures):
        print_line(line)


def _metavar(kind: type) -> str:
    return {int: "N", float: "X", Path: "PATH"}.get(kind, "TEXT")
