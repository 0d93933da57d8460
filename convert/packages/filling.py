"""The templates of packages, filled.

Not what is filled in.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template

TEMPLATES = Path(__file__).parent / "templates"


def fill(name: str, values: Mapping[str, object]) -> str:
    """Fill a template; a name without a value is an error."""
    text = Template((TEMPLATES / name).read_text("utf-8"))
    return text.substitute({key: str(value) for key, value in values.items()})


def wrapped(parts: Iterable[str], *, width: int = 98, indent: str = "    ") -> str:
    """Join parts by commas, in lines of at most so many characters."""
    lines, line = [], indent
    for part in parts:
        if len(line) + len(part) + 1 > width and line != indent:
            lines.append(line.rstrip())
            line = indent
        line += f"{part}, "
    return "\n".join([*lines, line.rstrip().rstrip(",")])
