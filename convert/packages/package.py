"""What every form of package holds: the C files of one artifact under stable names, and facts.

Not the forms, which are in `gatelet.convert.packages.forms`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatelet.convert.exporters.c.decisions import at_least, c_text
from gatelet.convert.exporters.c.source import comment
from gatelet.convert.packages.filling import fill, wrapped
from gatelet.convert.packages.golden import GoldenRows, golden_rows
from gatelet.convert.packages.memory import Memory, memory_of
from gatelet.convert.packages.naming import check_license, check_name, check_version, usable_name
from gatelet.errors import BundleDamaged, BundleError
from gatelet.runtime.bundle.opening import Artifact, Bundle, open_bundle
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor.loading import load


@dataclass(frozen=True)
class Package:
    """A c artifact on its way into a package.

    Args:
        bundle: The bundle.
        artifact: Its c artifact.
        graph: What the model takes and gives, without weights.
        name: Of the package.
        version: Such as '1.0.0'.
        license: An SPDX expression for weights and vocabulary; '' where nobody said.
        golden: Rows that its self-test feeds.
        memory: What it needs.
        sources: The text of each C file, by its name: model.c, model.h, weights.c and, of a model
            that reads texts, vocabulary.c.
        engine: What ran the golden rows.
    """

    bundle: Bundle
    artifact: Artifact
    graph: Graph
    name: str
    version: str
    license: str
    golden: GoldenRows
    memory: Memory
    sources: Mapping[str, str]
    engine: str

    @property
    def prefix(self) -> str:
        """What its names in C begin with."""
        return prefix_of(self.artifact)

    @property
    def values(self) -> dict[str, object]:
        """What templates are filled with."""
        return {
            "name": self.name,
            "NAME": self.name.upper(),
            "version": self.version,
            "prefix": self.prefix,
            "PREFIX": self.prefix.upper(),
            "title": comment(self.bundle.name),
            "scheme": self.artifact.scheme,
            "target_scheme": f"c {self.artifact.scheme}",
        }


def prefix_of(artifact: Artifact) -> str:
    """Return what the names of an artifact in C begin with."""
    return str(artifact.entry.get("prefix", "model"))


def open_package(
    path: Path,
    *,
    scheme: str | None = None,
    name: str | None = None,
    version: str = "1.0.0",
    license_: str | None = None,
) -> Package:
    """Collect what packages hold from a bundle.

    Args:
        path: The bundle.
        scheme: Of its c artifact; None for the one that `gatelet predict --target c` uses.
        name: Of the package; None for the artifact's prefix.
        version: Of the package.
        license_: An SPDX expression for weights and vocabulary.

    Raises:
        ConfigError: A name, version or license that cannot be one.
        BundleError: It has no such artifact, no golden rows, or cannot be read.
        ParityRefused: Its artifacts failed parity, and none was named.
        BackendError: The artifact does not run here.
    """
    check_version(version)
    check_license(license_) if license_ is not None else None
    check_name(name) if name is not None else None
    bundle = open_bundle(path)
    able = [one for one in bundle.artifacts if one.target == "c"]
    if not able:
        has = ", ".join(f"{one.target} {one.scheme}" for one in bundle.artifacts) or "none"
        raise BundleError(
            f"bundle '{path}' has no c artifact, of which packages are made; it has: {has}: "
            "convert it with --target c"
        )
    predictor = load(path, target="c", scheme=scheme, max_row_s=float("inf"))
    (artifact,) = (one for one in able if one.scheme == predictor.scheme)
    golden = bundle.golden()
    if golden is None or not golden.outputs:
        raise BundleError(
            f"bundle '{path}' has no golden rows, which a package's self-test feeds: convert it "
            "again"
        )
    graph = bundle.structure()
    sources = _sources(bundle, artifact)
    return Package(
        bundle=bundle,
        artifact=artifact,
        graph=graph,
        name=name or usable_name(prefix_of(artifact)),
        version=version,
        license=license_ or "",
        golden=golden_rows(
            golden,
            graph,
            predictor,
            with_texts=f"{prefix_of(artifact)}_predict_text(" in sources["model.h"],
        ),
        memory=memory_of(artifact, graph, golden, sources["model.h"]),
        sources=sources,
        engine=predictor.engine,
    )


def _sources(bundle: Bundle, artifact: Artifact) -> dict[str, str]:
    """Return the C files: the source as it was judged, the header with labels, and arrays."""
    prefix = prefix_of(artifact)
    values: dict[str, Any] = {
        "prefix": prefix,
        "PREFIX": prefix.upper(),
        "title": comment(bundle.name),
        "target_scheme": f"c {artifact.scheme}",
    }

    def read(role: str) -> bytes:
        if role not in artifact.companions:
            raise BundleDamaged(
                f"bundle '{bundle.path}': c {artifact.scheme} has no {role}: convert it again"
            )
        return bundle.contents.read(artifact.companions[role])

    header = read("header").decode("utf-8")
    told = fill("labels.h", values) + _label_names(bundle, values, header)
    begun, mark, ended = header.rpartition("\n#ifdef __cplusplus\n}\n")
    made = {
        "model.c": read("source").decode("utf-8"),
        "model.h": f"{begun}{told}{mark}{ended.rstrip()}\n",
        "weights.c": _array("weights", bundle.contents.read(artifact.path), values),
    }
    if "vocabulary" in artifact.companions:
        made["vocabulary.c"] = _array("vocabulary", read("vocabulary"), values)
    return made


def _label_names(bundle: Bundle, values: Mapping[str, object], header: str) -> str:
    """Return labels and threshold; '' where the header says them already, or there are none."""
    if bundle.decisions or not bundle.labels:
        return ""
    is_single = len(bundle.labels) == 2 and bundle.structure().shape_of(
        bundle.structure().outputs[0]
    )[-1] in (1, None)
    names = {
        **values,
        "count": len(bundle.labels),
        "labels": ", ".join(map(c_text, bundle.labels)),
        "rule": ": the second label from the threshold on, else the first"
        if is_single
        else ": the label with the largest",
    }
    told = fill("label_names.h", names)
    if is_single:
        told += f"#define {values['PREFIX']}_THRESHOLD {at_least(bundle.threshold)}\n"
    return told


def _array(what: str, data: bytes, values: Mapping[str, object]) -> str:
    return fill("array.c", {**values, "what": what, "bytes": wrapped(map(str, data))})
