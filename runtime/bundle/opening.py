"""Opening a bundle: the manifest, and the proof that its files are what it says.

Not about making bundles (`gatelet.convert.bundle`) or running them (`gatelet.runtime.predictor`).
The format is described in docs/bundle.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gatelet.errors import BundleDamaged, BundleError
from gatelet.runtime.bundle.contents import Contents, open_regular
from gatelet.runtime.bundle.manifest import (
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
from gatelet.runtime.graph.graph import Graph, graph_from_json
from gatelet.runtime.records import dataclass, field
from gatelet.runtime.strict_json import parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gatelet.runtime.bundle.decisions import Decision
    from gatelet.runtime.vectorizer.opening import AnyVectorizer

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "MAX_MANIFEST_BYTES",
    "VERDICTS",
    "Artifact",
    "Bundle",
    "BundleFile",
    "Golden",
    "draft_bundle",
    "is_bundle",
    "open_bundle",
]

MAX_MANIFEST_BYTES = 16 * 2**20
_READ_PARTS = ("graph", "weights", "vectorizer", "golden")


@dataclass(frozen=True)
class Golden:
    """Inputs and the outputs that the Graph gave for them at conversion.

    Args:
        texts: None where the data are private.
        inputs: By graph input, nested lists [N, ...].
        outputs: By graph output, nested lists [N, ...].
        labels: What was decided for each row; None of a model without labels, and in old bundles.
        threshold: By which it was decided; None likewise.
        decided: What was decided for each row by `decisions`; None in format 1.
        decisions: As the manifest had them.
        vocabulary_sha256: Of the words that made the ids; None of a model without, and in old
            bundles.
    """

    texts: tuple[str, ...] | None
    inputs: Mapping[str, list[Any]]
    outputs: Mapping[str, list[Any]]
    labels: tuple[str, ...] | None = None
    threshold: float | None = None
    decided: list[Any] | None = None
    decisions: list[Any] | None = None
    vocabulary_sha256: str | None = None


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: every file that the manifest lists is in its place.

    Whatever it reads has the digest of the manifest; `contents` checks that for other readers.

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
        contents: Its files, and the check of each.
        decisions: What outputs mean beside labels and threshold; () in format 1.
        unjudged: Paths of files whose bytes no verdict is about; () where verdicts name no bytes.
    """

    path: Path
    manifest: Mapping[str, Any]
    name: str
    labels: tuple[str, ...]
    threshold: float
    artifacts: tuple[Artifact, ...]
    files: tuple[BundleFile, ...]
    generation: tuple[int, ...]
    contents: Contents = field(repr=False, compare=False)
    decisions: tuple[Decision, ...] = ()
    unjudged: tuple[str, ...] = ()

    @property
    def doubt(self) -> str:
        """What is to be said of files that changed since they were judged; '' of none."""
        if not self.unjudged:
            return ""
        more = f" and {len(self.unjudged) - 2} more" if len(self.unjudged) > 2 else ""
        return (
            f"bundle '{self.path}' holds bytes that no verdict is about: "
            f"{', '.join(self.unjudged[:2])}{more}: run gatelet parity, or convert it again"
        )

    @property
    def verdict(self) -> str:
        """The worst parity verdict of its artifacts; 'not run' where there are none."""
        found = {artifact.verdict for artifact in self.artifacts}
        return next((verdict for verdict in VERDICTS if verdict in found), "not run")

    def part(self, key: str) -> Path | None:
        """Return the path of 'graph', 'weights', 'vectorizer', 'golden' or 'source', if there."""
        name = self.manifest.get(key)
        return None if name is None else self.path / str(name)

    def hold(self, *names: str) -> None:
        """Keep these files open, and those that every Predictor may read: see `Contents.hold`."""
        parts = [self.manifest.get(key) for key in _READ_PARTS]
        self.contents.hold(*map(str, filter(None, parts)), *names)

    def check_unchanged(self, *names: str) -> None:
        """Refuse files that changed since they were checked; see `Contents.check_unchanged`."""
        self.contents.check_unchanged(*names)

    def vectorizer(self) -> AnyVectorizer | None:
        """Read the vectorizer; None for a model without texts."""
        from gatelet.runtime.vectorizer.opening import read_vectorizer

        path = self.part("vectorizer")
        return None if path is None else read_vectorizer(lambda: self._read("vectorizer"), path)

    @property
    def is_opaque(self) -> bool:
        """Whether it has no Graph: Keras' own converters made its artifacts."""
        return "interface" in self.manifest

    def interface(self) -> Graph:
        """Return what the model takes and gives: the Graph, or one node where there is none."""
        if not self.is_opaque:
            return self.graph()
        from gatelet.runtime.graph.interface import interface_of

        return interface_of(self.manifest["interface"])

    def structure(self) -> Graph:
        """Return the same, but of a Graph the weights are not read, and not there."""
        if self.is_opaque:
            return self.interface()
        return graph_from_json(self._read("graph"), None, name=str(self.part("graph")))

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
        from gatelet.runtime.graph.safetensors import decode

        data = self._read("graph")
        mapped = self.contents.map(str(self.manifest["weights"]))
        weights = decode(mapped, name=str(self.part("weights")))
        return graph_from_json(data, weights, name=str(self.part("graph")))

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
        return self.contents.read(str(self.manifest[key]))


def is_bundle(path: Path) -> bool:
    """Return whether a folder claims to be a bundle."""
    return (path / MANIFEST).is_file()


def open_bundle(path: Path | str, *, all_digests: bool = True) -> Bundle:
    """Open a bundle and check every file that its manifest lists.

    Args:
        path: Its folder.
        all_digests: False leaves the digest of a file to whoever reads it: the place and length
            of each are checked now, what is in it before it is used.

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
            contents = Contents(path, (*manifest.files, *manifest.artifacts))
            if all_digests:
                contents.check()
            else:
                contents.look()
            bundle = _bundle(manifest, generation, contents)
        except BundleError:
            # a conversion may have replaced the bundle between two reads: look again
            if _read_manifest(path)[1] == generation:
                raise
        else:
            return bundle


def draft_bundle(path: Path, manifest: bytes) -> Bundle:
    """Open a bundle whose manifest is not written yet.

    Args:
        path: Its folder, with every file that the manifest lists.
        manifest: The manifest, as it would be written.

    Raises:
        BundleError: As for `open_bundle`.
    """
    parsed = parse_manifest(manifest, path=path)
    contents = Contents(path, (*parsed.files, *parsed.artifacts))
    contents.check()
    return _bundle(parsed, (), contents)


def _bundle(manifest: Manifest, generation: tuple[int, ...], contents: Contents) -> Bundle:
    return Bundle(
        path=contents.root,
        manifest=manifest.content,
        name=manifest.name,
        labels=manifest.labels,
        threshold=manifest.threshold,
        artifacts=manifest.artifacts,
        files=manifest.files,
        generation=generation,
        contents=contents,
        decisions=manifest.decisions,
        unjudged=manifest.unjudged,
    )


def _read_manifest(path: Path) -> tuple[bytes, tuple[int, ...]]:
    """Return the manifest, and what tells it from those before and after it.

    Its content does not: of two conversions in a row the second may bring the old bundle back.
    """
    try:
        with open_regular(path / MANIFEST) as file:
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
    decided, decisions = (
        take(entry, key, list, type(None), default=None) for key in ("decided", "decisions")
    )
    counts = rows | {len(one) for one in (texts, labels, decided) if one is not None}
    if len(counts) != 1:
        raise ValueError("texts, inputs, outputs and labels are not as many")
    digest = take(entry, "vocabulary_sha256", str) if "vocabulary_sha256" in entry else None
    return Golden(texts, inputs, outputs, labels, threshold, decided, decisions, digest)
