"""The limits of one artifact: those of the tolerance table, unless the user sets others.

Not the table (`gatelet.convert.tolerances`), and not the checks that are held to it.
"""

import math
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from gatelet.convert.tolerances import Limits
from gatelet.errors import ConfigError

SETTINGS_FILE = "gatelet.toml"
_TABLE = "parity"
_P99_SHARE = 2 / 3
"""Of the largest difference that passes: what one row in a hundred may reach."""


@dataclass(frozen=True)
class Settings:
    """What a user sets; None leaves the tolerance table's.

    Args:
        max_accuracy_drop: The most that a figure of quality may become worse: 0.005 is half a
            point.
        max_flips: The largest share of rows decided otherwise than by the Graph.
        atol: The largest difference of a score, relative to max(1, |y|).
        strict: Undecided is a failure.

    Raises:
        ConfigError: A limit is no number in its range.
    """

    max_accuracy_drop: float | None = None
    max_flips: float | None = None
    atol: float | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        for name, high in (("max_accuracy_drop", 1.0), ("max_flips", 1.0), ("atol", math.inf)):
            value = getattr(self, name)
            if value is None:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or not 0 <= value <= high:
                upper = f"0 to {high:g}" if math.isfinite(high) else "0 or more"
                raise ConfigError(
                    f"the limit {name} is {value!r}: expected a number, {upper}"
                    + (" (a share: 0.01 is one in a hundred)" if high == 1 else "")
                )
        if not isinstance(self.strict, bool):
            raise ConfigError(f"strict is {self.strict!r}: expected true or false")

    def over(self, others: "Settings") -> "Settings":
        """Return these settings, and the others' where these have none."""
        found: dict[str, Any] = {}
        for one in fields(self):
            mine = getattr(self, one.name)
            found[one.name] = getattr(others, one.name) if mine in (None, False) else mine
        return Settings(**found)


def find_settings(data: Path | None) -> Path | None:
    """Find `gatelet.toml`: in the current folder, else beside the data file."""
    folders = [Path(), *([data.parent] if data is not None else [])]
    found = (folder / SETTINGS_FILE for folder in folders)
    return next((path for path in found if path.is_file()), None)


def read_settings(path: Path) -> Settings:
    """Read the table [parity] of a `gatelet.toml`; other tables are others' business.

    Raises:
        ConfigError: It is no TOML, or has a key that is not known.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read '{path}': {error}") from error
    table = content.get(_TABLE, {})
    if not isinstance(table, dict):
        raise ConfigError(f"'{path}': parity is no table: write [parity] and limits below it")
    known = [one.name for one in fields(Settings)]
    unknown = next((key for key in table if key not in known), None)
    if unknown is not None:
        raise ConfigError(
            f"'{path}': [parity] has the key '{unknown}', which is not known; known are "
            f"{', '.join(known)}"
        )
    try:
        return Settings(**table)
    except ConfigError as error:
        raise ConfigError(f"'{path}': {error}") from error


@dataclass(frozen=True)
class Bounds:
    """The limits of one artifact, all resolved; scores are relative to max(1, |y|).

    Args:
        exact: The float32 limit of this model and these rows.
        is_exact: The scheme is held to that limit: only rounding tells it from the Graph.
        largest: The largest difference of a score.
        mean: The mean difference.
        shift: The mean difference with its sign.
        p99: The difference that 99 % of the scores stay below.
        kl: The mean Kullback-Leibler divergence, nats.
        flips: The largest share of rows decided otherwise.
        tie: Nearer to the threshold, both decisions are as good; minus infinity where the user
            set the limit of flips, which is held against every one.
        batch: Between a batch and its single rows.
        as_converted: From what the same artifact gave at conversion.
        quality_drop: How much worse a figure of quality may become.
    """

    exact: float
    is_exact: bool
    largest: float
    mean: float
    shift: float
    p99: float
    kl: float
    flips: float
    tie: float
    batch: float
    as_converted: float
    quality_drop: float


def bounds_of(limits: Limits, settings: Settings, *, exact: float, alone: bool = False) -> Bounds:
    """Resolve the limits of an artifact.

    Args:
        limits: Its row of the tolerance table.
        settings: The user's; `atol` stands for every difference between scores and the Graph's.
        exact: The float32 limit.
        alone: Rows are never run together, so a batch gives what its rows give.
    """

    def resolved(limit: float | None) -> float:
        return exact if limit is None else limit

    largest = resolved(limits.scores_max)
    found = Bounds(
        exact=exact,
        is_exact=limits.scores_max is None,
        largest=largest,
        mean=resolved(limits.scores_mean),
        shift=resolved(limits.scores_shift),
        p99=largest if limits.scores_max is None else largest * _P99_SHARE,
        kl=max(limits.kl, exact),
        flips=limits.flips,
        tie=resolved(limits.scores_mean),
        batch=exact if alone else resolved(limits.batch),
        as_converted=resolved(limits.as_converted),
        quality_drop=limits.quality_drop,
    )
    if settings.atol is not None:
        atol = settings.atol
        found = replace(found, largest=atol, mean=atol, shift=atol, p99=atol, batch=atol)
    if settings.max_flips is not None:
        # who sets a limit of labels that differ means every one, ties too
        found = replace(found, flips=settings.max_flips, tie=-math.inf)
    if settings.max_accuracy_drop is not None:
        found = replace(found, quality_drop=settings.max_accuracy_drop)
    return found
