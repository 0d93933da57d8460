"""The manifest of a bundle: what it says, checked field by field.

Not the files that it lists: `gatelet.runtime.bundle.opening` opens and checks those.
The format is described in docs/bundle.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as show

from gatelet.errors import BundleError, BundleNewer, BundleUnsafe
from gatelet.runtime.records import dataclass, field
from gatelet.runtime.strict_json import parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gatelet.runtime.bundle.decisions import Decision
    from gatelet.runtime.bundle.ranges import InputRange
    from gatelet.runtime.graph.states import State

FORMAT_VERSION = 2
"""The newest; a manifest without `decisions` is of format 1, which older readers know."""

MANIFEST = "manifest.json"
MAX_PATH_CHARACTERS = 255
VERDICTS = ("fail", "undecided", "not run", "pass")
"""Parity verdicts, the worst first."""
FILE_VERDICTS = ("fail", "not run", "pass")
"""Verdicts of a file's bytes, the worst first."""

_REQUIRED_PARTS: tuple[str, ...] = ("graph", "weights")
_OPTIONAL_PARTS = ("vectorizer", "golden", "source")
_DECIDING_PARTS = ("graph", "weights", "vectorizer")
"""The parts that every artifact's answers hang on."""
_JSON_NAMES = {
    str: "text",
    int: "an integer",
    bool: "true or false",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


@dataclass(frozen=True)
class BundleFile:
    """A file of the bundle, as the manifest lists it.

    Args:
        path: Relative to the bundle, with forward slashes.
        bytes: Its length.
        sha256: Its digest, in hexadecimal.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Artifact(BundleFile):
    """An exported model.

    Args:
        target: 'litert' or 'onnx'.
        scheme: 'float32', 'dynamic-int8'.
        ops: The operators that the file uses.
        max_batch: The most rows to give it at once; None is any number.
        parity: The verdict ('pass', 'fail', 'undecided', 'not run') and the checks behind it.
        engines: The packages that run it, the one that it is made for first; () for all that run
            its target.
        companions: Paths of further files that it needs or offers, by their role.
        states: What its streaming file, the companion 'stream', carries; () if it has none.
        revision: Of its target and scheme when it was written; 0 where the manifest has none.
        entry: Its whole entry in the manifest.
        ranges: Of the features that its integers were calibrated for; () of others.
        is_judged: Whether its verdict is about these very bytes, and those of the files that it
            is used with; True in old manifests, whose verdicts name no bytes.
    """

    target: str
    scheme: str
    ops: tuple[str, ...] = ()
    max_batch: int | None = None
    engines: tuple[str, ...] = ()
    parity: Mapping[str, Any] = field(default_factory=lambda: {"verdict": "not run"})
    companions: Mapping[str, str] = field(default_factory=dict)
    states: tuple[State, ...] = ()
    revision: int = 0
    entry: Mapping[str, Any] = field(default_factory=dict)
    ranges: tuple[InputRange, ...] = ()
    is_judged: bool = True

    @property
    def verdict(self) -> str:
        """The parity verdict; of bytes that were not judged 'not run', unless they failed."""
        found = str(self.parity.get("verdict", "not run"))
        return found if self.is_judged or found == "fail" else "not run"


@dataclass(frozen=True)
class Manifest:
    """A manifest whose every known field has been checked.

    Args:
        content: The whole object as read, unknown fields included.
        name: What the bundle is called.
        labels: In the order of the outputs; () for a regression.
        threshold: A single sigmoid score at or above it means labels[1].
        artifacts: As listed.
        files: The others.
        decisions: What outputs mean beside labels and threshold; () in format 1.
        unjudged: Paths of files whose bytes no verdict is about; () in old manifests.
    """

    content: Mapping[str, Any]
    name: str
    labels: tuple[str, ...]
    threshold: float
    artifacts: tuple[Artifact, ...]
    files: tuple[BundleFile, ...]
    decisions: tuple[Decision, ...] = ()
    unjudged: tuple[str, ...] = ()


def parse_manifest(data: bytes, *, path: Path) -> Manifest:
    """Read a manifest.

    Args:
        data: The file.
        path: The bundle's folder, for messages and as its default name.

    Raises:
        BundleError: A field is missing or has a value that it cannot have.
        BundleNewer: It is of a newer format.
        BundleUnsafe: A path leaves the bundle.
    """
    try:
        manifest = parse_json(data)
    except ValueError as error:
        raise BundleError(f"bundle '{path}': {MANIFEST} is no valid JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"bundle '{path}': {MANIFEST} is no JSON object")
    version = manifest.get("format_version")
    if type(version) is not int or version < 1:
        raise BundleError(
            f"bundle '{path}': format_version is {show(version)}, expected an integer from 1"
        )
    if version > FORMAT_VERSION:
        raise BundleNewer(
            f"bundle '{path}' has format_version {show(version)}, this gatelet reads up to "
            f"{FORMAT_VERSION}: update gatelet",
            found=version,
            known=FORMAT_VERSION,
        )
    try:
        unjudged = _unjudged(manifest)
        doubted = any(manifest.get(key) in unjudged for key in _DECIDING_PARTS)
        found = Manifest(
            content=manifest,
            name=take(manifest, "name", str, default=path.name),
            labels=_labels(manifest),
            threshold=_threshold(manifest),
            artifacts=tuple(
                _artifact(entry, unjudged, is_judged=not doubted)
                for entry in entries(manifest, "artifacts")
            ),
            files=tuple(BundleFile(**_file_fields(one)) for one in entries(manifest, "files")),
            decisions=_decisions(manifest, version),
            unjudged=unjudged,
        )
        _check_names(found, path)
    except ValueError as error:
        raise BundleError(f"bundle '{path}': {MANIFEST} is damaged: {error}") from error
    return found


def take(entry: Mapping[str, Any], key: str, *types: type, default: Any = ...) -> Any:
    """Take a field whose type is one of `types` exactly: true is no integer here.

    Args:
        entry: An object of the manifest.
        key: The field's name.
        types: Those that it may have.
        default: What it is where it is missing, if it may be.

    Raises:
        ValueError: It is missing or of another type.
    """
    value = entry.get(key, default)
    if value is ...:
        raise ValueError(f"'{key}' is missing")
    if key not in entry:
        return value
    if type(value) not in types:
        names = " or ".join(_JSON_NAMES[one] for one in types)
        raise ValueError(f"'{key}' is {show(value)}, expected {names}")
    return value


def take_texts(entry: Mapping[str, Any], key: str, *, default: Any = ...) -> tuple[str, ...]:
    """Take a field that is a list of texts; as `take`."""
    texts = take(entry, key, list, default=default)
    for value in texts:
        if type(value) is not str:
            take({key: value}, key, str)
    return tuple(texts)


def entries(
    manifest: Mapping[str, Any], key: str, *, default: Any = ...
) -> list[Mapping[str, Any]]:
    """Take a field that is a list of objects; as `take`."""
    found: list[Mapping[str, Any]] = take(manifest, key, list, default=default)
    for one in found:
        if type(one) is not dict:
            take({f"an entry of {key}": one}, f"an entry of {key}", dict)
    return found


def _labels(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    labels = take_texts(manifest, "labels")
    if len(labels) == 1 or len(set(labels)) != len(labels):
        raise ValueError(
            f"'labels' is {show(list(labels))}, expected none, or two or more, each once"
        )
    return labels


def _threshold(manifest: Mapping[str, Any]) -> float:
    threshold = take(manifest, "threshold", float, int)
    if not 0 <= threshold <= 1:
        raise ValueError(f"'threshold' is {show(threshold)}, expected a number from 0 to 1")
    return float(threshold)


def _decisions(manifest: Mapping[str, Any], version: int) -> tuple[Decision, ...]:
    if version == 1:
        return ()
    from gatelet.runtime.bundle.decisions import parse_decisions

    return parse_decisions(entries(manifest, "decisions"))


def _unjudged(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files whose bytes no verdict is about, where verdicts name their bytes."""
    listed = [(one, one) for one in entries(manifest, "files")]
    for one in entries(manifest, "artifacts"):
        listed.append((one, take(one, "parity", dict, default={})))
    found = [(take(one, "path", str), one, judged_of(entry)) for one, entry in listed]
    if all(judged is None for _, _, judged in found):
        return ()
    return tuple(
        path
        for path, one, judged in found
        if judged is None or judged["sha256"] != one.get("sha256")
    )


def judged_of(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Take what an entry says of the bytes that were judged; None where it says nothing."""
    if "judged" not in entry:
        return None
    judged: Mapping[str, Any] = take(entry, "judged", dict)
    if take(judged, "verdict", str) not in FILE_VERDICTS:
        raise ValueError(
            f"'verdict' is {show(judged['verdict'])}, expected one of {', '.join(FILE_VERDICTS)}"
        )
    take(judged, "sha256", str)
    return judged


def _artifact(entry: Mapping[str, Any], unjudged: tuple[str, ...], *, is_judged: bool) -> Artifact:
    max_batch = take(entry, "max_batch", int, type(None), default=None)
    if max_batch is not None and max_batch < 1:
        raise ValueError(f"'max_batch' is {show(max_batch)}, expected an integer from 1, or null")
    parity = take(entry, "parity", dict, default={"verdict": "not run"})
    if take(parity, "verdict", str) not in VERDICTS:
        raise ValueError(
            f"'verdict' is {show(parity['verdict'])}, expected one of {', '.join(VERDICTS)}"
        )
    companions = _companions(entry)
    used = (entry["path"], *companions.values())
    return Artifact(
        **_file_fields(entry),
        target=take(entry, "target", str),
        scheme=take(entry, "scheme", str),
        ops=take_texts(entry, "ops", default=()),
        engines=take_texts(entry, "engines", default=()),
        max_batch=max_batch,
        parity=parity,
        companions=companions,
        states=_states(entry),
        revision=whole(entry, "revision", default=0),
        entry=entry,
        ranges=_ranges(entry),
        is_judged=is_judged and not any(path in unjudged for path in used),
    )


def whole(entry: Mapping[str, Any], key: str, *, default: Any = ...) -> int:
    """Take an integer from 0; as `take`."""
    value: int = take(entry, key, int, default=default)
    if not 0 <= value < 2**63:
        raise ValueError(f"'{key}' is {show(value)}, expected an integer from 0")
    return value


def _companions(entry: Mapping[str, Any]) -> Mapping[str, str]:
    companions = take(entry, "companions", dict, default={})
    return {role: take(companions, role, str) for role in companions}


def _ranges(entry: Mapping[str, Any]) -> tuple[InputRange, ...]:
    if "input_range" not in entry:
        return ()
    from gatelet.runtime.bundle.ranges import parse_ranges

    return parse_ranges(entry)


def _states(entry: Mapping[str, Any]) -> tuple[State, ...]:
    companions = take(entry, "companions", dict, default={})
    if "stream" not in entry and "stream" not in companions:
        return ()
    from gatelet.runtime.graph.states import STREAM_ROLE, parse_states

    states = parse_states(entry)
    if bool(states) != (STREAM_ROLE in companions):
        raise ValueError("'stream' and the companion 'stream' belong together: one is missing")
    return states


def _file_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    sha256 = take(entry, "sha256", str)
    if len(sha256) != 64 or sha256.strip("0123456789abcdef"):
        raise ValueError(f"'sha256' is {show(sha256)}, expected 64 hexadecimal digits")
    return {
        "path": take(entry, "path", str),
        "bytes": whole(entry, "bytes"),
        "sha256": sha256,
    }


def _check_names(manifest: Manifest, path: Path) -> None:
    """Refuse paths that are unsafe or not listed, and names that are used twice."""
    parts = [file.path for file in manifest.files]
    listed = [*parts, *(artifact.path for artifact in manifest.artifacts)]
    for name in listed:
        if not _is_plain(name):
            raise BundleUnsafe(
                f"bundle '{path}': the path {show(name)} is no plain path inside the "
                "bundle: do not use this bundle",
                path=name,
            )
    pairs = [(artifact.target, artifact.scheme) for artifact in manifest.artifacts]
    for entry, count in Counter[object]([*listed, *pairs]).items():
        if count > 1:
            raise ValueError(f"{show(entry)} is listed twice")
    for artifact in manifest.artifacts:
        for role, named in artifact.companions.items():
            if named not in parts:
                raise ValueError(f"companion {show(role)} is {show(named)}, not among its files")
    required = _REQUIRED_PARTS
    if "interface" in manifest.content:  # in the place of the Graph
        from gatelet.runtime.graph.interface import interface_of

        interface_of(take(manifest.content, "interface", dict))
        required = ()
        for key in _REQUIRED_PARTS:
            take(manifest.content, key, type(None), default=None)
    for key in (*_REQUIRED_PARTS, *_OPTIONAL_PARTS):
        if key in required:
            named = take(manifest.content, key, str)
        else:
            named = take(manifest.content, key, str, type(None), default=None)
        if named is not None and named not in parts:
            raise ValueError(f"'{key}' is {show(named)}, which is not among its files")


def _is_plain(name: str) -> bool:
    """Return whether a path is relative, stays inside, and means the same on every system."""
    return (
        name != MANIFEST
        and not any(part in ("", ".", "..") for part in name.split("/"))
        and name.isprintable()
        and not any(character in name for character in "\\:")
        and len(name) <= MAX_PATH_CHARACTERS
    )
