"""Making a bundle: files named by their content, and the manifest whose replacement is the commit.

Not opening bundles, which the runtime does without this package.
"""

import contextlib
import filecmp
import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gatelet.convert.exporters.exported import Companion, Exported, stored_name
from gatelet.convert.schemes import revision_of
from gatelet.errors import OutputError
from gatelet.runtime.bundle.opening import (
    MANIFEST,
    Bundle,
    draft_bundle,
    is_bundle,
)
from gatelet.runtime.files import write_atomically

_OUR_NAMES = re.compile(r".+-[0-9a-f]{12}\.[a-z][a-z0-9]*")


@dataclass
class BundleWriter:
    """Collects the files of a bundle in a staging folder.

    Args:
        stage: An empty folder.
        facts: Entries of the manifest: name, labels, threshold, provenance.
    """

    stage: Path
    facts: dict[str, Any]
    parts: dict[str, str] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)

    def add_part(self, key: str, stem: str, suffix: str, data: bytes) -> Path:
        """Add a file that the manifest names by a key: 'graph', 'vectorizer'."""
        entry = self._add(stem, suffix, data)
        self.parts[key] = entry["path"]
        self.files.append(entry)
        return self.stage / str(entry["path"])

    def add_artifact(
        self, target: str, scheme: str, suffix: str, data: bytes, **facts: object
    ) -> None:
        """Add an exported model; `facts` are further entries: ops, max_batch."""
        entry = self._add(f"{target}-{scheme}", suffix, data)
        facts = {"revision": revision_of(target, scheme), **facts}
        self.artifacts.append({"target": target, "scheme": scheme, **entry, **facts})

    def add_exported(self, target: str, scheme: str, suffix: str, exported: Exported) -> None:
        """Add what an exporter gave, with the files that come beside it."""
        facts: dict[str, object] = {
            **exported.facts,
            "ops": list(exported.ops),
            "max_batch": exported.max_batch,
        }
        self.add_artifact(target, scheme, suffix, exported.data, **facts)
        self.add_companions(target, scheme, exported.companions)

    def add_companions(self, target: str, scheme: str, companions: Sequence[Companion]) -> None:
        """Add files beside an artifact."""
        entry = self.entry_of(target, scheme)
        for one in companions:
            file = self._add(one.stem, one.suffix, one.data)
            entry.setdefault("companions", {})[one.role] = file["path"]
            if file not in self.files:  # two artifacts may share a file
                self.files.append(file)

    def entry_of(self, target: str, scheme: str) -> dict[str, Any]:
        """Return an artifact's entry, as the manifest will have it."""
        return next(a for a in self.artifacts if (a["target"], a["scheme"]) == (target, scheme))

    def remove(self, target: str, scheme: str) -> None:
        """Take an artifact out again, with the files that no other one shares."""
        gone = self.entry_of(target, scheme)
        self.artifacts.remove(gone)
        shared = {path for a in self.artifacts for path in _paths(a)}
        for path in _paths(gone) - shared:
            self.files[:] = [one for one in self.files if one["path"] != path]
            (self.stage / path).unlink(missing_ok=True)

    def add_provenance(self, **facts: object) -> None:
        """Add to what the manifest says of how the bundle was made."""
        self.facts["provenance"] = {**self.facts.get("provenance", {}), **facts}

    def draft(self) -> Bundle:
        """Open the staged files as the bundle that they will be, before its manifest is written."""
        return draft_bundle(self.stage, self._manifest({}))

    def write_manifest(
        self,
        reports: Mapping[tuple[str, str], Mapping[str, Any]],
        judged: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        """Write the manifest into the staging folder.

        Args:
            reports: The parity entry of each (target, scheme).
            judged: What is said of the bytes of each file, by its path.
        """
        manifest = json.loads(self._manifest(reports))
        for one in manifest["files"]:
            one |= {"judged": judged[one["path"]]} if one["path"] in judged else {}
        for one in manifest["artifacts"]:
            one["parity"] |= {"judged": judged[one["path"]]} if one["path"] in judged else {}
        write_atomically(self.stage / MANIFEST, manifest_text(manifest))

    def _manifest(self, reports: Mapping[tuple[str, str], Mapping[str, Any]]) -> bytes:
        artifacts = [
            {
                **entry,
                "parity": dict(
                    reports.get((entry["target"], entry["scheme"]), {"verdict": "not run"})
                ),
            }
            for entry in self.artifacts
        ]
        keys = ("graph", "weights", "vectorizer", "golden", "source")
        manifest = {
            "format_version": 2 if "decisions" in self.facts else 1,
            **self.facts,
            **{key: self.parts.get(key) for key in keys},
            "files": self.files,
            "artifacts": artifacts,
        }
        return manifest_text(manifest)

    def _add(self, stem: str, suffix: str, data: bytes) -> dict[str, Any]:
        name = stored_name(stem, suffix, data)
        write_atomically(self.stage / name, data)
        return {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def manifest_text(manifest: Mapping[str, Any]) -> bytes:
    """Return a manifest as it is written."""
    return json.dumps(manifest, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _paths(artifact: Mapping[str, Any]) -> set[str]:
    return {artifact["path"], *artifact.get("companions", {}).values()}


def commit(stage: Path, out: Path) -> None:
    """Make the staged bundle the bundle at `out`.

    Files go first under their content's names, then the manifest replaces the old one in one
    step; a reader sees the old bundle or the new. Files that only the old one used go last.
    Of conversions that end at the same time, one commits after the other.

    Args:
        stage: A complete bundle on the same file system.
        out: Missing, an empty folder, or a bundle.

    Raises:
        OutputError: The file system refuses; the old bundle is as it was.
    """
    out = Path(os.path.realpath(out))
    try:
        if not is_bundle(out) and _take_place(stage, out):
            return
        with locked(out):
            _replace_files(stage, out)
    except OSError as error:
        raise OutputError(
            f"cannot write the bundle '{out}': {error.strerror or error}", path=str(out)
        ) from error
    shutil.rmtree(stage, ignore_errors=True)


def _take_place(stage: Path, out: Path) -> bool:
    """Rename the staged folder; False if another conversion has put its bundle there."""
    try:
        if out.is_dir():
            stage.chmod(stat.S_IMODE(out.stat().st_mode))
            out.rmdir()
        stage.rename(out)
    except OSError:
        if is_bundle(out):
            return False
        raise
    return True


def _replace_files(stage: Path, out: Path) -> None:
    names = {path.name for path in stage.iterdir()}
    for name in sorted(names - {MANIFEST}):
        # a reader of the old bundle may be opening a file that both have: leave it as it is
        if not _has_same_content(stage / name, out / name):
            _put(stage / name, out / name)
    (stage / MANIFEST).replace(out / MANIFEST)
    for path in out.iterdir():
        if path.name not in names and _OUR_NAMES.fullmatch(path.name) and path.is_file():
            path.unlink()


def _put(new: Path, place: Path) -> None:
    """Put a file in place by a second name, so that the stage stays whole until the commit."""
    second = new.with_name("second.tmp")
    second.unlink(missing_ok=True)
    try:
        os.link(new, second)
        second.replace(place)
    except OSError:  # a file has one name only on some file systems
        write_atomically(place, new.read_bytes())


def _has_same_content(new: Path, old: Path) -> bool:
    try:
        return filecmp.cmp(new, old, shallow=False)
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other commits out: each deletes files that its own manifest does not list.

    The lock is the folder's own: it leaves no file, and ends with the process.
    """
    if sys.platform == "win32":  # has no such lock
        yield
        return
    import fcntl

    opened = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a network file system may have no locks
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
