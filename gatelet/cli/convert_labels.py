"""The flags of `gatelet convert` that say what a model's outputs mean.

Not their meaning, which is `gatelet.convert.reading.meaning`'s.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from gatelet.errors import ConfigError
from gatelet.runtime.bundle.decisions import ACTIVATIONS


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--labels",
        action="append",
        default=[],
        metavar="A,B",
        help="names of the outputs, for a model without a run; of a model with several outputs "
        "OUTPUT=A,B, repeatable",
    )
    parser.add_argument(
        "--multi-label",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="a row may have several labels, or none; --no-multi-label: the largest score alone",
    )
    parser.add_argument(
        "--threshold",
        metavar="P",
        help="score from which on a label is given, 0.5 by default; of several labels A=0.3,B=0.6",
    )
    parser.add_argument(
        "--activation",
        action="append",
        default=[],
        metavar="NAME",
        help=f"what makes scores of a linear last layer: {', '.join(ACTIVATIONS)}; of a model with "
        "several outputs OUTPUT=NAME, repeatable",
    )


def read_labels(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a conversion that the flags give.

    Raises:
        ConfigError: One is given twice for all outputs, or a threshold is no number.
    """
    labels = _by_name(arguments.labels, "labels")
    named = isinstance(labels, Mapping)
    return {
        "labels": {k: _split(v) for k, v in labels.items()} if named else _split(labels or ""),
        "multi_label": arguments.multi_label,
        "threshold": _threshold(arguments.threshold),
        "activation": _by_name(arguments.activation, "activation"),
    }


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _by_name(given: Sequence[str], flag: str) -> Any:
    """Return what was given for all outputs, or by output where each has a name before a '='."""
    pairs = [one.partition("=") for one in given]
    if given and all(equals and "," not in name for name, equals, _ in pairs):
        return {name: value for name, _, value in pairs}
    if len(given) > 1:
        raise ConfigError(f"--{flag} is given twice: name an output before each, OUTPUT=...")
    return given[0] if given else None


def _threshold(text: str | None) -> float | dict[str, float] | None:
    if text is None:
        return None
    # labels may hold anything but a comma, a '=' too
    pairs = [one.rpartition("=") for one in text.split(",")]
    if len(pairs) == 1 and not pairs[0][1]:
        return _number(text)
    if not all(equals for _, equals, _ in pairs):
        raise ConfigError(f"--threshold is '{text}', expected a number, or A=0.3,B=0.6")
    return {name: _number(value) for name, _, value in pairs}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"the threshold is '{text}', expected a number from 0 to 1") from None
