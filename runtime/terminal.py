"""Texts of unknown origin, made safe to show: nothing in them can fake or hide output.

Not where they are printed: the command line and training do that.
"""

import unicodedata

_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that make a terminal show what follows in another order."""
_BREAKS = "\u2028\u2029"
"""Those of which some terminals make a new line."""


def one_line(text: str) -> str:
    """Return a text without what could fake output: line breaks, controls, changes of direction."""
    return escaped(" ".join(text.split()))


def escaped(text: str) -> str:
    """Return a text with all such characters as escapes, its spaces as they are."""
    return text if text.isascii() and text.isprintable() else "".join(map(_written, text))


def _written(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return f"\\x{ord(character):02x}"
    # half of a character is no UTF-8: of a path, a byte that is none
    is_shown = category != "Cs" and character not in _DIRECTIONS + _BREAKS
    return character if is_shown else f"\\u{ord(character):04x}"
