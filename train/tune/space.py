"""The space of a study: which settings vary, and over which values, read from TOML.

Not how values are chosen: that is `gatelet.train.tune.sampling`.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatelet.errors import ConfigError
from gatelet.train.config import settings
from gatelet.train.settings import Setting

Value = str | int | float | bool

_OF_ROWS = ("task", "label_columns", "group", "window", "stride", "columns", "horizon")
_OF_FIGURES = ("metric", "threshold", "tune_threshold", "folds", "baseline")
FIXED = ("out", "data", "corpus", "text_column", "label_column", *_OF_ROWS, *_OF_FIGURES, "seed")
"""Settings that say what rows are or how trials compare, or that none may choose: its seed."""
RANGE_KEYS = ("low", "high", "log", "step")
_SPACES = Path(__file__).parent / "spaces"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Args:
        low: The smallest.
        high: The largest.
        log: Whether ratios count, not differences: 8 to 16 is then as wide as 32 to 64.
        step: The distance of the numbers from `low` on; None for any.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def holds(self, value: object) -> bool:
        """Return whether a value is in the range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) < 1e-9

    def to_json(self) -> dict[str, Value]:
        """Return the keys of TOML that are set."""
        found: dict[str, Value] = {"low": self.low, "high": self.high}
        return found | ({"log": True} if self.log else {}) | self._stepped()

    def _stepped(self) -> dict[str, Value]:
        return {} if self.step is None else {"step": self.step}


@dataclass(frozen=True)
class Space:
    """What varies.

    Args:
        choices: By the name of a setting, one value or more.
        ranges: By the name of a setting, numbers.
    """

    choices: Mapping[str, tuple[Value, ...]]
    ranges: Mapping[str, Range]

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that vary, sorted: the order in which they are chosen."""
        return tuple(sorted({*self.choices, *self.ranges}))

    def without(self, names: Iterable[str]) -> "Space":
        """Return the space in which some settings do not vary."""
        dropped = set(names)
        return Space(
            {name: one for name, one in self.choices.items() if name not in dropped},
            {name: one for name, one in self.ranges.items() if name not in dropped},
        )

    def fixes(self, name: str) -> bool:
        """Return whether a setting has one value only, which may be another than the recipe's."""
        return len(self.choices.get(name, ())) == 1

    def holds(self, values: Mapping[str, object]) -> bool:
        """Return whether it has these values, of each setting that has more than one."""
        chosen = all(
            self.fixes(name) or values.get(name) in one for name, one in self.choices.items()
        )
        return chosen and all(one.holds(values.get(name)) for name, one in self.ranges.items())

    def to_json(self) -> dict[str, Any]:
        """Return what TOML would hold: a list of choices or a table of a range by setting."""
        return {
            name: list(self.choices[name]) if name in self.choices else self.ranges[name].to_json()
            for name in self.names
        }


def default_space(kind: str) -> Space:
    """Read the space of this kind of rows: 'texts' or 'features'."""
    return read_space(_SPACES / f"{kind}.toml")


def read_space(path: Path) -> Space:
    """Read a space.

    Args:
        path: A TOML file: a setting's name, and a list of choices, one value, or a table of
            `low`, `high`, and `log = true` or `step`.

    Raises:
        ConfigError: The file cannot be read, a name is no setting or may not vary, or a value is
            none of the setting's; the message has the name.
    """
    try:
        given = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        problem = error.strerror or str(error)
        raise ConfigError(f"cannot read '{path}': {problem}", path=str(path)) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"'{path}' is not TOML in UTF-8: {error}", path=str(path)) from error
    return space_of(given, where=f" in '{path}'")


def space_of(given: Mapping[str, Any], *, where: str = "") -> Space:
    """Make a space of what TOML holds; see `read_space`."""
    known = {one.name: one for one in settings() if one.name not in FIXED}
    choices: dict[str, tuple[Value, ...]] = {}
    ranges: dict[str, Range] = {}
    for name, value in given.items():
        setting = known.get(name)
        if setting is None:
            raise _unknown(name, known, where=where)
        if isinstance(value, dict):
            ranges[name] = _range(setting, value, where=where)
        else:
            choices[name] = _choices(setting, value, where=where)
    if not given:
        raise ConfigError(f"the space{where} is empty: name a setting and its values")
    return Space(choices, ranges)


def _unknown(name: str, known: Iterable[str], *, where: str) -> ConfigError:
    if name in FIXED:
        return ConfigError(f"'{name}'{where} cannot vary within a study: leave it out", field=name)
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return ConfigError(f"unknown setting '{name}'{where}; {hint}", field=name)


def _choices(setting: Setting, value: object, *, where: str) -> tuple[Value, ...]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ConfigError(f"'{setting.name}'{where} has no choices: name one", field=setting.name)
    for one in values:
        _check(setting, one, where=where)
    if len(set(map(str, values))) < len(values):
        raise ConfigError(f"'{setting.name}'{where} has a choice twice", field=setting.name)
    return tuple(values)


def _range(setting: Setting, value: Mapping[str, Any], *, where: str) -> Range:
    name = setting.name
    if setting.kind not in (int, float):
        raise ConfigError(
            f"'{name}'{where} has a range, and is no number: give a list of choices", field=name
        )
    for key in value:
        if key not in RANGE_KEYS:
            near = difflib.get_close_matches(key, RANGE_KEYS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(RANGE_KEYS)}"
            raise ConfigError(f"unknown key '{key}' of the range '{name}'{where}; {hint}")
    for key in ("low", "high"):
        if key not in value:
            raise ConfigError(f"the range '{name}'{where} has no '{key}': add it", field=name)
        _check(setting, value[key], where=where)
    found = Range(value["low"], value["high"], value.get("log", False), value.get("step"))
    if problem := _problem(found, setting):
        raise ConfigError(f"the range '{name}'{where} {problem}", field=name)
    return found


def _problem(found: Range, setting: Setting) -> str:
    """Return what is wrong with a range; '' for nothing."""
    if found.low > found.high:
        return f"goes from {found.low} to {found.high}: 'low' must not be above 'high'"
    if not isinstance(found.log, bool):
        return f"has 'log' = {found.log!r}; allowed: true or false"
    if found.log and found.low <= 0:
        return f"begins at {found.low}, of which there is no logarithm: begin above 0"
    if found.step is None:
        return ""
    kinds = (int,) if setting.kind is int else (int, float)
    if isinstance(found.step, bool) or not isinstance(found.step, kinds) or found.step <= 0:
        noun = "an integer" if setting.kind is int else "a number"
        return f"has 'step' = {found.step!r}; allowed: {noun} above 0"
    return "has 'log' and 'step': leave one of them out" if found.log else ""


def _check(setting: Setting, value: object, *, where: str) -> None:
    try:
        setting.check(value)
    except ConfigError as error:
        raise ConfigError(f"the space{where}: {error}", **error.facts) from error
