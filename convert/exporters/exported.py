"""What goes into an exporter, and what comes out.

Not an exporter.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.convert.rows.calibration import Calibration
from gatelet.runtime.bundle.decisions import Decision, parse_decisions
from gatelet.runtime.graph.graph import Graph, graph_from_json
from gatelet.runtime.graph.safetensors import encode, read
from gatelet.runtime.graph.streaming import StreamingGraph
from gatelet.runtime.vectorizer.opening import AnyVectorizer, load_vectorizer

_HASH_DIGITS = 12


def stored_name(stem: str, suffix: str, data: bytes) -> str:
    """Return the name that a file has in a bundle: by its content, so that none is ever changed."""
    return f"{stem}-{hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]}{suffix}"


@dataclass(frozen=True)
class Exportable:
    """A model that is ready for export.

    Args:
        graph: As lowered: what parity judges by.
        skipping: The same outputs, with shared padding skipped; `graph` itself where that is
            not possible.
        vectorizer: For a model of texts.
        name: What it is called.
        labels: In the order of the outputs.
        threshold: For a single sigmoid output.
        decisions: What outputs mean beside these two; () where they say it all.
        units: Of inputs and outputs, for people; '' where nobody says.
        calibration: Rows for schemes that compute in integers; None where none is made.
        streaming: Its streaming form, for artifacts that hold it beside the whole (c).
        stream_files: Artifacts of other targets get a file of that form.
        scratch: Where an exporter's temporary files go, so that a killed conversion leaves none
            elsewhere; None for the system's place.
        platforms: What libraries are built for, beside this machine: 'aarch64-linux'.
    """

    graph: Graph
    skipping: Graph
    vectorizer: AnyVectorizer | None = None
    name: str = "model"
    labels: tuple[str, ...] = ()
    threshold: float = 0.5
    decisions: tuple[Decision, ...] = ()
    units: str = ""
    calibration: Calibration | None = None
    streaming: StreamingGraph | None = None
    stream_files: bool = False
    scratch: Path | None = None
    platforms: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write it into an empty folder, for another process, all but its streaming form."""
        for stem, graph in (("graph", self.graph), ("skipping", self.skipping)):
            (folder / f"{stem}.json").write_text(graph.to_json(), "utf-8")
            (folder / f"{stem}.safetensors").write_bytes(encode(graph.weights))
        if self.vectorizer is not None:
            (folder / "vectorizer.json").write_text(self.vectorizer.to_json(), "utf-8")
        facts: dict[str, Any] = {
            "name": self.name,
            "labels": self.labels,
            "threshold": self.threshold,
            "decisions": [one.to_json() for one in self.decisions],
            "units": self.units,
        }
        if self.calibration is not None:
            arrays: dict[str, Any] = dict(self.calibration.rows)
            np.savez(folder / "calibration.npz", **arrays)
            facts["calibration"] = {
                "source": self.calibration.source,
                "left_out_of": self.calibration.left_out_of,
            }
        (folder / "facts.json").write_text(json.dumps(facts), "utf-8")

    @classmethod
    def open(cls, folder: Path) -> "Exportable":
        """Read what `save` wrote."""
        facts = json.loads((folder / "facts.json").read_text("utf-8"))
        vectorizer = folder / "vectorizer.json"
        return cls(
            graph=_read_graph(folder, "graph"),
            skipping=_read_graph(folder, "skipping"),
            vectorizer=load_vectorizer(vectorizer) if vectorizer.exists() else None,
            name=facts["name"],
            labels=tuple(facts["labels"]),
            threshold=facts["threshold"],
            decisions=parse_decisions(facts["decisions"]) if facts["decisions"] else (),
            units=facts["units"],
            calibration=_read_calibration(folder, facts.get("calibration")),
        )


def _read_calibration(folder: Path, facts: Mapping[str, Any] | None) -> Calibration | None:
    if facts is None:
        return None
    with np.load(folder / "calibration.npz") as found:
        return Calibration({name: found[name] for name in found.files}, **facts)


def _read_graph(folder: Path, stem: str) -> Graph:
    text = (folder / f"{stem}.json").read_text("utf-8")
    return graph_from_json(text, read(folder / f"{stem}.safetensors"), name=stem)


@dataclass(frozen=True)
class Companion:
    """A file that an artifact needs or offers beside itself: a library, a header.

    Args:
        role: What it is to the artifact; the manifest lists it by this.
        stem: Its name's beginning.
        suffix: Its name's end.
        data: Its bytes.
    """

    role: str
    stem: str
    suffix: str
    data: bytes

    @property
    def stored_name(self) -> str:
        """Its name in a bundle."""
        return stored_name(self.stem, self.suffix, self.data)


@dataclass(frozen=True)
class Exported:
    """An artifact in memory.

    Args:
        data: The file's bytes.
        ops: The names of its operators, each once, sorted.
        max_batch: How many rows may be run at once; None for any number. 1 where rows run
            together would change each other's results.
        facts: Further fields of its entry in the manifest, such as arena_bytes.
        companions: Further files.
    """

    data: bytes
    ops: tuple[str, ...]
    max_batch: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    companions: tuple[Companion, ...] = ()

    def save(self, folder: Path) -> None:
        """Write it into an empty folder, for another process."""
        (folder / "data").write_bytes(self.data)
        companions = []
        for index, one in enumerate(self.companions):
            (folder / f"companion-{index}").write_bytes(one.data)
            companions.append({"role": one.role, "stem": one.stem, "suffix": one.suffix})
        content = {
            "ops": self.ops,
            "max_batch": self.max_batch,
            "facts": dict(self.facts),
            "companions": companions,
        }
        (folder / "exported.json").write_text(json.dumps(content), "utf-8")

    @classmethod
    def open(cls, folder: Path) -> "Exported":
        """Read what `save` wrote."""
        content = json.loads((folder / "exported.json").read_text("utf-8"))
        companions = tuple(
            Companion(**one, data=(folder / f"companion-{index}").read_bytes())
            for index, one in enumerate(content["companions"])
        )
        return cls(
            (folder / "data").read_bytes(),
            tuple(content["ops"]),
            content["max_batch"],
            content["facts"],
            companions,
        )
