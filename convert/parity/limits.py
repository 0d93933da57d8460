"""The limits of one artifact: those of the tolerance table, unless the user sets others.

Not the table (`gatelet.convert.tolerances`), and not the checks that are held to it.
"""

import math
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from gatelet.convert.parity.report import Check
from gatelet.convert.tolerances import Limits
from gatelet.errors import ConfigError

SETTINGS_FILE = "gatelet.toml"
_TABLE = "parity"


@dataclass(frozen=True)
class Settings:
    """What a user sets; None leaves the tolerance table's.

    Args:
        max_accuracy_drop: The most that a figure of quality may become worse: 0.005 is half a
            point.
        max_flips: The largest share of rows decided otherwise than by the Graph.
        atol: The largest difference of a score from the Graph's, relative to max(1, |y|).
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
    """The limits of one artifact, all resolved.

    Args:
        exact: The float32 limit of this model and these rows, in units of the spread.
        is_exact: The scheme is held to that limit: only rounding tells it from the Graph.
        made_up: Nobody gave the rows, so what a rounded scheme costs over them is an estimate,
            which fails nothing.
        flips: The largest share of rows decided otherwise.
        spread: The difference that 99 % of the scores stay below, in units of the spread.
        quality_drop: How much worse a figure of quality may become.
        as_converted: From what the same artifact gave at conversion; relative to max(1, |y|).
        asked: What the user set, which decides whatever else does.
        one_answer: A row has the same bits in any company, and in pieces.
    """

    exact: float
    is_exact: bool
    made_up: bool
    flips: float
    spread: float
    quality_drop: float
    as_converted: float
    asked: Settings
    one_answer: bool = False

    @property
    def is_estimate(self) -> bool:
        """Whether what the scheme costs is an estimate."""
        return self.made_up and not self.is_exact

    def judged(self, check: Check) -> Check:
        """Decide what a scheme costs: by the interval, where there is one.

        Args:
            check: With figure, limit and interval; its verdict does not matter.

        Returns:
            'pass' where all of the interval is within the limit, 'fail' where none of it is, and
            'undecided' between. Over made-up rows the figure alone counts, and it does not fail.
        """
        figure, limit = check.figure, check.limit
        if figure is None or limit is None:
            raise ValueError(f"the check '{check.name}' has nothing to decide by")
        low, high = check.interval or (figure, figure)
        note = check.note
        if self.is_estimate:
            low = high = figure
        verdict = "pass" if high <= limit else "undecided" if low <= limit else "fail"
        if verdict == "fail" and self.is_estimate and math.isfinite(figure):
            verdict = "undecided"
            note = f"{note}; an estimate over made-up rows" if note else "over made-up rows"
        return replace(check, verdict=verdict, note=note, question="costs")


def bounds_of(limits: Limits, settings: Settings, *, exact: float, made_up: bool = False) -> Bounds:
    """Resolve the limits of an artifact.

    Args:
        limits: Its row of the tolerance table.
        settings: The user's.
        exact: The float32 limit.
        made_up: Nobody gave the rows.
    """

    def first(asked: float | None, usual: float) -> float:
        return usual if asked is None else asked

    return Bounds(
        exact=exact,
        is_exact=limits.is_exact,
        made_up=made_up,
        flips=first(settings.max_flips, limits.flips),
        spread=limits.spread,
        quality_drop=first(settings.max_accuracy_drop, limits.quality_drop),
        as_converted=first(limits.as_converted, exact),
        asked=settings,
    )
