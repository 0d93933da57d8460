"""The types of the fixtures of conftest.py that are functions."""

from collections.abc import Callable
from pathlib import Path

EditManifest = Callable[..., None]
PutPart = Callable[[Path, str, bytes], None]
WriteBundle = Callable[..., Path]
