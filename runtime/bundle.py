"""Opening a bundle: the manifest, and the proof that its files are what it says.

Not about making bundles (`gatelet.convert.bundling`) or running them (`gatelet.runtime.predictor`).
The format is described in docs/bundle.md.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader, FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatelet.errors import BundleDamaged, BundleError, BundleUnsafe
from gatelet.runtime.graph import Graph, graph_from_json
from gatelet.runtime.interface import interface_of
from gatelet.runtime.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    VERDICTS,
    Artifact,
    BundleFile,
    Manifest,
    parse_manifest,
    take,
    take_texts,
)
from gatelet.runtime.safetensors import read as read_safetensors
from gatelet.runtime.strict_json import parse_json

if TYPE_CHECKING:
    from gatelet.runtime.vectorizers import AnyVectorizer

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "MAX_MANIFEST_BYTES",
    "VERDICTS",
    "Artifact",
    "Bundle",
    "BundleFile",
    "Golden",
    "is_bundle",
    "open_bundle",
]

MAX_MANIFEST_BYTES = 16 * 2**20
_CHUNK_BYTES = 2**18

Stamp = tuple[int, ...]
"""What tells a file from one that replaced it, or that was written over."""


@dataclass(frozen=True)
class Golden:
    """Inputs and the outputs that the Graph gave for them at conversion.

    Args:
        texts: None where the data are private.
        inputs: By graph input, nested lists [N, ...].
        outputs: By graph output, nested lists [N, ...].
        labels: What was decided for each row; None of a model without labels, and in old bundles.
        threshold: By which it was decided; None likewise.
    """

    texts: tuple[str, ...] | None
    inputs: Mapping[str, list[Any]]
    outputs: Mapping[str, list[Any]]
    labels: tuple[str, ...] | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: every file that the manifest lists is there, with the right digest.

    Args:
        path: Its folder.
        manifest: The manifest as read; the other fields are taken from it.
        name: What it is called.
        labels: In the order of the outputs; () for a regression.
        threshold: A single sigmoid score at or above it means labels[1].
        artifacts: As listed.
        files: The others: graph, weights, vectorizer, golden vectors, source model.
        generation: Which manifest was read: one that replaces it has another, be its content
            the same.
        stamps: Of each file when it was checked.
    """

    path: Path
    manifest: Mapping[str, Any]
    name: str
    labels: tuple[str, ...]
    threshold: float
    artifacts: tuple[Artifact, ...]
    files: tuple[BundleFile, ...]
    generation: tuple[int, ...] = ()
    stamps: Mapping[str, Stamp] = field(default_factory=dict, repr=False)

    @property
    def verdict(self) -> str:
        """The worst parity verdict of its artifacts; 'not run' where there are none."""
        found = {artifact.verdict for artifact in self.artifacts}
        return next((verdict for verdict in VERDICTS if verdict in found), "not run")

    def part(self, key: str) -> Path | None:
        """Give the path of 'graph', 'weights', 'vectorizer', 'golden' or 'source', if there."""
        name = self.manifest.get(key)
        return None if name is None else self.path / str(name)

    def check_unchanged(self, *names: str) -> None:
        """Refuse files that were replaced or written since they were checked.

        Call it after an engine has opened them: what was checked is then what was opened.

        Raises:
            BundleDamaged: One was.
        """
        for name in names:
            try:
                same = _stamp((self.path / name).stat()) == self.stamps.get(name)
            except OSError:
                same = False
            if not same:
                raise BundleDamaged(
                    f"bundle '{self.path}': '{name}' changed while it was opened: open it again",
                    path=name,
                )

    def vectorizer(self) -> "AnyVectorizer | None":
        """Read the vectorizer; None for a model without texts."""
        from gatelet.runtime.vectorizers import load_vectorizer

        path = self.part("vectorizer")
        if path is None:
            return None
        vectorizer = load_vectorizer(path)
        self.check_unchanged(str(self.manifest["vectorizer"]))
        return vectorizer

    @property
    def is_opaque(self) -> bool:
        """Whether it has no Graph: Keras' own converters made its artifacts."""
        return "interface" in self.manifest

    def interface(self) -> Graph:
        """Give what the model takes and gives: the Graph, or one node where there is none."""
        return interface_of(self.manifest["interface"]) if self.is_opaque else self.graph()

    def graph(self) -> Graph:
        """Read the Graph with its weights, which stay in the file until they are used.

        Raises:
            BundleError: It has none.
        """
        if self.is_opaque:
            raise BundleError(
                f"bundle '{self.path}' was converted past the Graph (route 'keras'), so it has "
                "none: only its artifacts can be run"
            )
        data = self._read("graph")
        weights = str(self.manifest["weights"])
        graph = graph_from_json(
            data, read_safetensors(self.path / weights), name=str(self.part("graph"))
        )
        self.check_unchanged(weights)
        return graph

    def golden(self) -> Golden | None:
        """Read the golden vectors, if the bundle has any."""
        path = self.part("golden")
        if path is None:
            return None
        try:
            return _golden(parse_json(self._read("golden")))
        except ValueError as error:
            raise BundleDamaged(f"'{path}' holds no golden vectors: {error}") from error

    def _read(self, key: str) -> bytes:
        path = self.path / str(self.manifest[key])
        try:
            data = path.read_bytes()
            self.check_unchanged(str(self.manifest[key]))
            return data
        except OSError as error:
            raise BundleDamaged(
                f"cannot read '{path}': {error.strerror or error}: copy or convert it again",
                path=str(path),
            ) from error


def is_bundle(path: Path) -> bool:
    """Tell whether a folder claims to be a bundle."""
    return (path / MANIFEST).is_file()


def open_bundle(path: Path | str) -> Bundle:
    """Open a bundle and check every file that its manifest lists.

    Args:
        path: Its folder.

    Raises:
        BundleError: There is no bundle, or its manifest is damaged.
        BundleNewer: It is of a newer format.
        BundleUnsafe: A path leaves the bundle.
        BundleDamaged: A file is missing or is not what the manifest says.
    """
    path = Path(path)
    while True:
        data, generation = _read_manifest(path)
        try:
            manifest = parse_manifest(data, path=path)
            files, buffer = (*manifest.files, *manifest.artifacts), bytearray(_CHUNK_BYTES)
            stamps = {file.path: _verify(path, file, buffer) for file in files}
            bundle = _bundle(path, manifest, generation, stamps)
        except BundleError:
            # a conversion may have replaced the bundle between two reads: look again
            if _read_manifest(path)[1] == generation:
                raise
        else:
            return bundle


def _bundle(
    path: Path, manifest: Manifest, generation: tuple[int, ...], stamps: Mapping[str, Stamp]
) -> Bundle:
    return Bundle(
        path=path,
        manifest=manifest.content,
        name=manifest.name,
        labels=manifest.labels,
        threshold=manifest.threshold,
        artifacts=manifest.artifacts,
        files=manifest.files,
        generation=generation,
        stamps=stamps,
    )


def _read_manifest(path: Path) -> tuple[bytes, tuple[int, ...]]:
    """Give the manifest, and what tells it from those before and after it.

    Its content does not: of two conversions in a row the second may bring the old bundle back.
    """
    try:
        with _open_regular(path / MANIFEST) as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
            found = os.fstat(file.fileno())
    except (OSError, ValueError) as error:  # ValueError: a path no system has, with NUL
        raise BundleError(f"'{path}' is no bundle: {_why(path, error)}", path=str(path)) from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleError(
            f"bundle '{path}': {MANIFEST} is larger than {MAX_MANIFEST_BYTES:,} bytes"
        )
    return data, (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"it has no {MANIFEST}" if path.is_dir() else "it does not exist"
    if isinstance(error, NotADirectoryError):
        return "it is not a folder: give the folder that holds its files"
    reason = error.strerror if isinstance(error, OSError) else error
    return f"its {MANIFEST} cannot be read: {reason}"


def _open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, but no folder, pipe or device: those can block for ever."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file")
    return BufferedReader(FileIO(handle, "rb"))


def _verify(root: Path, file: BundleFile, buffer: bytearray) -> Stamp:
    """Check one file's place, length and digest, and give its stamp."""
    path = root / file.path
    try:
        _check_place(root, file.path)
        digest, count = hashlib.sha256(), 0
        with _open_regular(path) as opened:
            stamp = _stamp(os.fstat(opened.fileno()))
            while count <= file.bytes and (read := opened.readinto(buffer)):
                count += read
                digest.update(memoryview(buffer)[:read])
    except FileNotFoundError:
        raise BundleDamaged(
            f"bundle '{root}' is damaged: '{file.path}' is missing: copy or convert it again",
            path=file.path,
        ) from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself, on Python 3.11
        reason = getattr(error, "strerror", None) or error
        raise BundleDamaged(
            f"bundle '{root}' is damaged: '{file.path}' cannot be read: {reason}", path=file.path
        ) from error
    if count != file.bytes:
        found = "more" if count > file.bytes else f"{count:,}"
        raise BundleDamaged(
            f"bundle '{root}' is damaged: '{file.path}' should have {file.bytes:,} bytes, "
            f"has {found}: copy or convert it again",
            path=file.path,
        )
    if digest.hexdigest() != file.sha256:
        raise BundleDamaged(
            f"bundle '{root}' is damaged: '{file.path}' has sha256 {digest.hexdigest()[:12]}…, "
            f"the manifest says {file.sha256[:12]}…: copy or convert it again",
            path=file.path,
        )
    return stamp


def _check_place(root: Path, name: str) -> None:
    """Refuse a file that lies outside once links are followed; few bundles have any."""
    path = root
    for part in name.split("/"):
        path = path / part
        if stat.S_ISLNK(path.lstat().st_mode):
            if (root / name).resolve().is_relative_to(root.resolve()):
                return
            raise BundleUnsafe(
                f"bundle '{root}': '{name}' is a link out of the bundle: do not use this bundle",
                path=name,
            )


def _stamp(found: os.stat_result) -> Stamp:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _golden(found: Any) -> Golden:
    """Check golden vectors: as many texts as rows, of inputs as of outputs."""
    entry = found if isinstance(found, dict) else {}
    texts = take(entry, "texts", list, type(None))
    if texts is not None:
        texts = take_texts(entry, "texts")
    inputs, outputs = (take(entry, key, dict) for key in ("inputs", "outputs"))
    rows = {len(take(values, name, list)) for values in (inputs, outputs) for name in values}
    labels = take_texts(entry, "labels") if entry.get("labels") is not None else None
    threshold = take(entry, "threshold", float, int) if "threshold" in entry else None
    counts = rows | {len(one) for one in (texts, labels) if one is not None}
    if len(counts) != 1:
        raise ValueError("texts, inputs, outputs and labels are not as many")
    return Golden(texts, inputs, outputs, labels, threshold)
