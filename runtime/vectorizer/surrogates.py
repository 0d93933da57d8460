"""Half surrogate pairs, which a Python text may hold and UTF-8 may not, as private characters.

Not Unicode at large. ONNX strings are UTF-8: so that a word with half a pair can still be looked
up, vocabulary and texts both write it as a character of the private plane 15.
"""

_FIRST, _LAST, _PRIVATE = 0xD800, 0xDFFF, 0xF0000
_TABLE = {code: _PRIVATE + code - _FIRST for code in range(_FIRST, _LAST + 1)}


def as_utf8(text: str) -> str:
    """Return the text with U+D800..U+DFFF as U+F0000..U+F07FF; any other text as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_TABLE)
    return text
