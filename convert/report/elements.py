"""Elements of HTML, SVG and XML, built as a tree: what is put in as text stays text.

Not a template language: there is no way to put markup in as a string.
"""

import re
import unicodedata
from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

__all__ = ["Content", "Element", "element", "folding_table", "html_text", "shown", "xml_bytes"]

Content = Element | str | None
"""What an element holds: other elements, text, or nothing."""

# what XML 1.0 cannot hold, even escaped
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# joiners shape letters and emoji; all other format characters can reorder or hide what is shown
_JOINERS = "\u200c\u200d"
_BESIDE_TEXT = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def element(tag: str, *content: Content, **attributes: str | float | None) -> Element:
    """Make an element.

    Args:
        tag: Its name.
        *content: Elements and texts, in order; None is left out.
        **attributes: By name, with `_` for `-` and `class_` for class; a number is rounded to
            hundredths; None is left out.

    Returns:
        The element. Characters that XML cannot hold are written as escapes.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            written = value if isinstance(value, str) else _rounded(value)
            made.set(name.rstrip("_").replace("_", "-"), _legal(written))
    for one in content:
        if isinstance(one, str):
            _add_text(made, _legal(one))
        elif one is not None:
            made.append(one)
    return made


def _add_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def _rounded(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _legal(text: str) -> str:
    return _NOT_XML.sub(lambda match: _escape(match[0]), text)


def folding_table(
    summary: str, header: Iterable[Element], rows: Iterable[Element], *, label: str, is_open: bool
) -> Element:
    """Make a table that a click opens, and that scrolls where the window is narrow.

    Args:
        summary: What stands above it.
        header: The cells of its head.
        rows: Of its body.
        label: What it is called where it is read aloud.
        is_open: Whether it is open from the start.
    """
    table = element("table", element("thead", element("tr", *header)), element("tbody", *rows))
    return element(
        "details",
        element("summary", summary),
        element("div", table, class_="wide", tabindex="0", role="region", aria_label=label),
        open="open" if is_open else None,
    )


def shown(text: str, limit: int) -> str:
    """Make a text of unknown origin safe to look at: nothing in it can hide or reorder.

    Args:
        text: Any text, also with lone surrogates.
        limit: The most characters that are kept.

    Returns:
        The beginning, with controls, line breaks and format characters as escapes, and how
        much is missing.
    """
    kept = "".join(_visible(character) for character in text[:limit])
    missing = len(text) - limit
    return kept if missing <= 0 else f"{kept} … and {missing:,} more characters"


def _visible(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _BESIDE_TEXT:
        return character
    return _escape(character)


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def html_text(root: Element) -> str:
    """Write a page."""
    return f"<!doctype html>\n{ElementTree.tostring(root, 'unicode', method='html')}\n"


def xml_bytes(root: Element) -> bytes:
    """Write an XML document in UTF-8, indented."""
    ElementTree.indent(root, " ")
    written: bytes = ElementTree.tostring(root, "utf-8", xml_declaration=True)
    return written + b"\n"
