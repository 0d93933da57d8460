"""Judges the parts of a bundle that are no artifacts: Graph, weights, vectorizer, golden, source.

Each is held to the others: no part can be judged by itself.
"""

import contextlib
import io
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from gatelet.convert.lowering import lower
from gatelet.convert.parity.case import Case
from gatelet.convert.parity.files.regenerate import is_our_code
from gatelet.convert.parity.files.verdict import (
    COMPARED,
    RUN,
    Finding,
    Run,
    not_run,
    run_here,
)
from gatelet.convert.parity.report import ArtifactReport
from gatelet.convert.reading.model_source import ModelSource, open_source
from gatelet.errors import GateletError
from gatelet.runtime.archives import read_member, twice_in
from gatelet.runtime.bundle.manifest import judged_of
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.graph.graph import Graph

_ABOUT_BYTES = 16 * 2**20
PARTS = ("graph", "weights", "vectorizer", "golden", "source")


@dataclass(frozen=True)
class Source:
    """The Keras file of a bundle, read again.

    Args:
        read: The model; None where there is none, or it cannot be read.
        graph: Lowered from it; None likewise.
        refusal: Why it cannot be read; '' otherwise.
        has_reader: Whether what reads it is installed: else nothing is said of it.
    """

    read: ModelSource | None = None
    graph: Graph | None = None
    refusal: str = ""
    has_reader: bool = True


def read_again(bundle: Bundle) -> Source:
    """Read and lower the Keras file of a bundle; no code of Keras runs."""
    path = bundle.part("source")
    if path is None:
        return Source()
    try:
        read = open_source(path)
        return Source(read, lower(read.model))
    except GateletError as error:
        return Source(refusal=str(error), has_reader=find_spec("h5py") is not None)


@dataclass(frozen=True)
class Parts:
    """The parts of a bundle that is judged.

    Args:
        case: With the checks of Graph and vectorizer.
        reports: Of the artifacts.
        source: Its Keras file.
        vocabularies: What was found of files that hold the vocabulary too.
    """

    case: Case
    reports: Sequence[ArtifactReport]
    source: Source
    vocabularies: Sequence[Finding] = ()

    @property
    def checks(self) -> Mapping[str, str]:
        """The verdicts of the checks of Graph and vectorizer, by name."""
        return {check.name: check.verdict for check in self.case.shared}

    def findings(self) -> dict[str, Finding]:
        """Return what was found of each part that the bundle has, by its key."""
        bundle = self.case.bundle
        found = {
            "graph": self._model("graph"),
            "weights": self._model("weights"),
            "vectorizer": self._vectorizer(),
            "golden": self._golden(),
            "source": self._source(),
        }
        return {key: one for key, one in found.items() if bundle.part(key) is not None}

    def _agrees(self) -> bool | None:
        """Return whether the Keras file gives this Graph, to the last bit; None if unknown.

        Another gatelet may lower otherwise, and so may settings of the conversion. So a difference
        counts only where the same code found none at conversion.
        """
        found = self.source.graph
        if found is None:
            return None
        if _same(found, self.case.graph):
            return True
        return False if self._was_equal() else None

    def _was_equal(self) -> bool:
        """Return whether the code of this gatelet found the Keras file equal at conversion."""
        bundle = self.case.bundle
        if bundle.part("source") is None or not is_our_code(bundle):
            return False
        named = bundle.manifest["source"]
        judged = [judged_of(one) or {} for one in bundle.manifest["files"] if one["path"] == named]
        return any(one.get("by") == COMPARED and one["verdict"] == "pass" for one in judged)

    def _is_named(self, key: str) -> bool | None:
        """Return whether an artifact says that it was made of this very part; None if none does."""
        bundle = self.case.bundle
        own = next((f.sha256 for f in bundle.files if f.path == bundle.manifest[key]), "")
        told = {_named_in(bundle.path / one.path, key) for one in bundle.artifacts} - {""}
        return own in told if told else None

    def _model(self, key: str) -> Finding:
        agrees, is_named, keras = self._agrees(), self._is_named(key), self._by_keras()
        if self.checks.get("graph_golden") == "fail":
            return Finding("fail", RUN, "golden rows have other scores")
        if is_named is False:
            return Finding("fail", COMPARED, f"no artifact was made of this {key}")
        if agrees is not None:
            note = "the Keras file is another model"
            return Finding("pass" if agrees else "fail", COMPARED, "" if agrees else note)
        if keras is not None:
            return keras
        read = {c.verdict for one in self.reports for c in one.checks if c.name == "weights"}
        if "fail" in read:
            return Finding("fail", COMPARED, "artifacts hold other weights")
        if is_named or "pass" in read:
            return Finding("pass", COMPARED)
        return not_run("neither the Keras file nor an artifact tells its weights")

    def _source(self) -> Finding:
        agrees, refusal = self._agrees(), self.source.refusal
        if refusal and self.source.has_reader and self._was_equal():
            return Finding("fail", COMPARED, refusal)
        if agrees is not None:
            note = "" if agrees else "it is another model than the Graph"
            return Finding("pass" if agrees else "fail", COMPARED, note)
        return self._by_keras() or not_run(self.source.refusal or "Keras was not asked")

    def _by_keras(self) -> Finding | None:
        """Return what Keras' own scores say; None where it was not asked."""
        told = self.checks.get("graph_keras")
        if told not in ("pass", "fail"):
            return None
        run = run_here("keras", f"keras {self.case.oracle.keras_version}")
        note = "Keras has other scores" if told == "fail" else ""
        return Finding(told, RUN, note, (run,))

    def _golden(self) -> Finding:
        """Golden rows have the scores of the Graph, the ids of the vectorizer, and its labels."""
        told = [self.checks.get("graph_golden"), self.checks.get("ids")]
        told += [c.verdict for one in self.reports for c in one.checks if c.name == "labels"]
        if "fail" in told:
            return Finding("fail", RUN, "the Graph or the vectorizer gives something else")
        run: tuple[Run, ...] = (run_here("reference", ""),)
        return Finding("pass", RUN, runs=run) if told[0] == "pass" else not_run("it has no row")

    def _vectorizer(self) -> Finding:
        told = [self.checks.get("ids")]
        told += [c.verdict for one in self.reports for c in one.checks if c.name == "vocabulary"]
        others = {one.verdict for one in self.vocabularies if one.by != RUN}
        is_named = self._is_named("vectorizer")
        if "fail" in told or "fail" in others or is_named is False:
            return Finding("fail", COMPARED, "another copy of the words has other ids")
        read = self.source.read
        if read is not None and read.takes_texts and read.vectorizer is not None:
            ours = self.case.bundle.vectorizer()
            if ours is not None and read.vectorizer.to_json() == ours.to_json():
                return Finding("pass", COMPARED)
        if is_named or "pass" in others or "pass" in told[1:]:
            return Finding("pass", COMPARED)
        if not self.case.bundle.generation and told[0] == "pass":  # it was given just now
            return Finding("pass", COMPARED)
        return not_run("nothing else here holds all of its words")


def _named_in(path: Path, key: str) -> str:
    """Return the digest of the part that a file says it was made of; '' where it says nothing."""
    content = path.read_bytes()
    damaged = (zipfile.BadZipFile, KeyError, ValueError, zlib.error, OSError)
    with contextlib.suppress(*damaged), zipfile.ZipFile(io.BytesIO(content)) as archive:
        if not twice_in(archive):
            content = read_member(archive, "gatelet.json", _ABOUT_BYTES)  # behind a litert file
    # as JSON, and as ONNX' metadata: a value of 64 bytes
    said = rb"\b(?:gatelet\.)?%s_sha256(?:\": \"|\x12\x40)([0-9a-f]{64})" % key.encode()
    found = re.search(said, content)
    return found[1].decode() if found else ""


def _same(one: Graph, other: Graph) -> bool:
    return (
        one.to_json() == other.to_json()
        and one.weights.keys() == other.weights.keys()
        and all(
            bytes(tensor.data) == bytes(other.weights[name].data)
            for name, tensor in one.weights.items()
        )
    )
