"""Damaged and forged bundles, drawn with a seed: bit flips, truncations, splices, JSON edits.

Not what must happen with them: see test_fuzz.py.
"""

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.json"
HOSTILE_JSON = (
    b"1e999", b"-1", b"1e308", b"NaN", b"null", b"true", b'""', b"[]", b"{}", b"9" * 400,
    b"[" * 3000, b'{"a":' * 3000, b'"\\ud800"', b"99999999999", b"0.5", b'"../../x"', b"2147483648",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A mutated copy of a bundle.

    Args:
        path: Its folder.
        file: The file that was mutated.
        repaired: Whether the manifest has the digest of what the file holds now.
    """

    path: Path
    file: str
    repaired: bool


def mutants(bundle: Path, folder: Path, *, count: int, seed: int) -> Iterator[Mutant]:
    """Draw mutants, each in a folder of its own that the caller removes."""
    names = sorted(path.name for path in bundle.iterdir())
    draw = random.Random(seed)
    for number in range(count):
        file = draw.choice(names)
        path = folder / f"mutant-{number}"
        path.mkdir()
        for name in names:
            if name in (file, MANIFEST):
                shutil.copy(bundle / name, path / name)
            else:
                os.link(bundle / name, path / name)
        data = (bundle / file).read_bytes()
        for _ in range(draw.choice((1, 1, 2, 5))):
            data = draw.choice(MUTATIONS)(data, draw)
        (path / file).write_bytes(data)
        repaired = file == MANIFEST or draw.random() < 0.75
        if repaired and file != MANIFEST:
            _repair(path, file, data)
        yield Mutant(path, file, repaired)


def _repair(path: Path, file: str, data: bytes) -> None:
    manifest = json.loads((path / MANIFEST).read_bytes())
    for entry in (*manifest["files"], *manifest["artifacts"]):
        if entry["path"] == file:
            entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 4, 30)) if data else 0):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _truncate(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _splice(data: bytes, draw: random.Random) -> bytes:
    """Put a piece of the file, or noise, in another place of it."""
    start, place = draw.randrange(len(data) + 1), draw.randrange(len(data) + 1)
    length = draw.choice((1, 4, 16, 200))
    piece = data[start : start + length] if draw.random() < 0.7 else draw.randbytes(length)
    end = place + (length if draw.random() < 0.5 else 0)
    return data[:place] + piece + data[end:]


def _set_integer(data: bytes, draw: random.Random) -> bytes:
    """Overwrite four bytes, where binary formats have offsets and sizes."""
    place = draw.randrange(max(len(data) // 4, 1)) * 4
    value = draw.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(data), draw.getrandbits(32)))
    return data[:place] + value.to_bytes(4, "little") + data[place + 4 :]


def _edit_json(data: bytes, draw: random.Random) -> bytes:
    """Replace a number or text of a JSON file; anything else is flipped."""
    found = list(re.finditer(rb'-?\d[\d.e+-]*|"[^"]*"|null|true|false', data[:20_000]))
    if not data.lstrip().startswith(b"{") or not found:
        return _flip(data, draw)
    one = draw.choice(found)
    return data[: one.start()] + draw.choice(HOSTILE_JSON) + data[one.end() :]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip,
    _truncate,
    _splice,
    _set_integer,
    _edit_json,
    _edit_json,
)
