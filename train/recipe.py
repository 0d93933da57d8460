"""Recipes: settings of a training as data, in TOML files, some of which have a name.

Not the settings themselves, nor what may be in a file: those are `gatelet.train.config`. Named
recipes are the files of `recipes/`, one a recipe.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path

from gatelet.errors import ConfigError

_RECIPES = Path(__file__).parent / "recipes"
_TOML_ESCAPES = {chr(code): f"\\u{code:04x}" for code in (*range(32), 127)} | {
    "\t": "\\t",
    "\n": "\\n",
    '"': '\\"',
    "\\": "\\\\",
}


def recipe_names() -> tuple[str, ...]:
    """Return the names of all recipes, sorted."""
    return tuple(sorted(path.stem for path in _RECIPES.glob("*.toml")))


def recipe_file(recipe: str) -> Path:
    """Find the file of a recipe.

    Args:
        recipe: A name, or the path of a TOML file; a name goes before a file of that name.

    Raises:
        ConfigError: It is no name, and does not look like a path: the message has the closest name.
    """
    names = recipe_names()
    if recipe in names:
        return _RECIPES / f"{recipe}.toml"
    path = Path(recipe)
    if path.suffix == ".toml" or os.sep in recipe or path.is_file():
        return path
    raise ConfigError(
        f"there is no recipe '{recipe}'{nearest(recipe, names)}; known: {', '.join(names)}, or "
        "the path of a TOML file",
        field="recipe",
        value=recipe,
    )


def read_toml(path: Path) -> dict[str, object]:
    """Read settings; their names and values are not checked.

    Raises:
        ConfigError: The file cannot be read, or is not TOML in UTF-8.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read '{path}': {error.strerror or error}", path=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"'{path}' is not UTF-8: byte {error.start} cannot be decoded", path=str(path)
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"'{path}' is not TOML: {error}", path=str(path)) from error


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the question whether a close name was meant; '' where none is close."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def toml_value(value: str | int | float | bool) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    escaped = "".join(_TOML_ESCAPES.get(c) or c for c in value)
    return f'"{escaped}"'
