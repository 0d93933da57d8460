"""Damaged and forged bundles, drawn with a seed: bit flips, truncations, splices, JSON edits.

Not what must happen with them: see test_fuzz.py.
"""

import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
HOSTILE_JSON = (
    b"1e999", b"-1", b"1e308", b"NaN", b"null", b"true", b'""', b"[]", b"{}", b"9" * 400,
    b"[" * 3000, b'{"a":' * 3000, b'"\\ud800"', b"99999999999", b"0.5", b'"../../x"', b"2147483648",
)  # fmt: skip
_JSON_VALUES = rb'-?\d[\d.e+-]*|"[^"]*"|null|true|false'


@dataclass(frozen=True)
class Mutant:
    """A mutated copy of a bundle.

    Args:
        path: Its folder.
        file: The file that was mutated.
        target: The target that it is meant for: the file is its own, or of all of them.
        repaired: Whether the manifest has the digest of what the file holds now.
        changed: Whether the file holds anything else than before.
    """

    path: Path
    file: str
    target: str
    repaired: bool
    changed: bool


def mutants(
    bundle: Path, folder: Path, targets: Sequence[str], *, count: int, seed: int
) -> Iterator[Mutant]:
    """Draw mutants, targets in turn, each in a folder of its own that the caller removes."""
    contents = {path.name: path.read_bytes() for path in bundle.iterdir()}
    manifest = json.loads(contents[MANIFEST])
    draw = random.Random(seed)
    for number in range(count):
        target = targets[number % len(targets)]
        file = draw.choice(_files_of(manifest, target, everything=draw.random() < 0.1))
        data = contents[file]
        for _ in range(draw.choice((1, 1, 2, 5))):
            data = draw.choice(MUTATIONS)(data, draw)
        path = folder / f"mutant-{number}"
        path.mkdir()
        for name in contents:
            if name not in (file, MANIFEST):
                # no link: it would change the ctime of a file that another process has open
                shutil.copy2(bundle / name, path / name)
        repaired = file == MANIFEST or draw.random() < 0.75
        listed = _repaired(contents[MANIFEST], file, data) if repaired else contents[MANIFEST]
        (path / MANIFEST).write_bytes(listed)
        (path / file).write_bytes(data)
        yield Mutant(path, file, target, repaired, data != contents[file])


def _files_of(manifest: Mapping[str, Any], target: str, *, everything: bool) -> list[str]:
    """Return the files that a target reads, the manifest and its own twice; or all there are."""
    if everything:
        return [one["path"] for one in (*manifest["files"], *manifest["artifacts"])]
    shared = [manifest[key] for key in ("graph", "weights", "vectorizer", "golden")]
    own = []
    for entry in manifest["artifacts"]:
        if entry["target"] == target:
            roles = entry.get("companions", {})
            own += [entry["path"], *(p for r, p in roles.items() if r.startswith("library:"))]
    return [MANIFEST, MANIFEST, *shared, *own, *own]


def _repaired(manifest: bytes, file: str, data: bytes) -> bytes:
    """Return the manifest with the length and digest that a file has now."""
    if file == MANIFEST:
        return manifest
    found = json.loads(manifest)
    for entry in (*found["files"], *found["artifacts"]):
        if entry["path"] == file:
            entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return json.dumps(found).encode()


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


def _mix_json(data: bytes, draw: random.Random) -> bytes:
    """Put a number or text of a JSON file in the place of another; anything else is flipped."""
    found = list(re.finditer(_JSON_VALUES, data[:20_000]))
    if not data.lstrip().startswith(b"{") or not found:
        return _flip(data, draw)
    one, other = draw.choice(found), draw.choice(found)
    return data[: one.start()] + other[0] + data[one.end() :]


def _edit_json(data: bytes, draw: random.Random) -> bytes:
    """Replace a number or text of a JSON file; anything else is flipped."""
    found = list(re.finditer(_JSON_VALUES, data[:20_000]))
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
    _mix_json,
)
