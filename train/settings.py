"""One setting of a run: its type, what it may be, and its word of help.

Not the settings themselves: those are `gatelet.train.config`.
"""

from dataclasses import dataclass
from pathlib import Path

from gatelet.errors import ConfigError


@dataclass(frozen=True)
class Setting:
    """One field of a dataclass of settings, as a command line or a form needs it.

    Attributes:
        name: The field's name, and its key in TOML.
        kind: str, int, float, bool or Path.
        default: The value where nothing sets it; None for none.
        help: One phrase.
        low: The smallest value that is allowed, for numbers.
        high: The largest one.
        choices: The values that are allowed, if they can be listed.
        allowed: The range in words.
    """

    name: str
    kind: type
    default: object
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The command line's name for it: '--batch-size'."""
        return "--" + self.name.replace("_", "-")

    @property
    def allowed(self) -> str:
        """The values that are allowed, in words."""
        if self.choices:
            return " or ".join(f"'{choice}'" for choice in self.choices)
        if self.kind in (int, float):
            noun = "an integer" if self.kind is int else "a number"
            return f"{noun} from {self.low:,} to {self.high:,}"
        return "true or false" if self.kind is bool else "text that UTF-8 can encode"

    def check(self, value: object) -> None:
        """Refuse a value that the field cannot take.

        Raises:
            ConfigError: With the field, the value and what is allowed.
        """
        if not self._takes(value):
            raise ConfigError(
                f"'{self.name}' is {value!r}; allowed: {self.allowed}",
                field=self.name,
                value=value,
                allowed=self.allowed,
            )

    def _takes(self, value: object) -> bool:
        if isinstance(value, bool):
            return self.kind is bool
        if self.choices:
            return value in self.choices
        if self.kind is int or self.kind is float:
            assert self.low is not None and self.high is not None
            numbers = (int,) if self.kind is int else (int, float)
            return isinstance(value, numbers) and self.low <= value <= self.high
        if self.kind is Path:
            return isinstance(value, Path) and _encodes(str(value)) and str(value) != ""
        return self.kind is str and isinstance(value, str) and _encodes(value)


def about(
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> dict[str, object]:
    """Return the metadata of a field of a dataclass, of which a Setting is made."""
    return {"help": text, "low": low, "high": high, "choices": choices}


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text
