"""Versions of Keras, as files and modules tell them.

Not what a version means, which the lowerings and the oracle of Keras know.
"""


def parse_version(text: str) -> tuple[int, int]:
    """Return the major and minor version; those of a Keras 3 to come where a text tells none.

    Args:
        text: Such as '2.2.4-tf', or '2' where a file only tells that much: then the newest of it.
    """
    found = text.split("-")[0].split(".")[:2]
    if not all(part.isdigit() for part in found):
        return 3, 99
    major, minor = (*map(int, found), 99)[:2]
    return major, minor


def is_multi_backend(text: str) -> bool:
    """Return whether this is Keras before it became part of TensorFlow: 1.x, or 2.0 to 2.3."""
    return parse_version(text) < (2, 4) and "." in text and "tf" not in text
