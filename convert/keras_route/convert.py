"""The conversion past the Graph: what goes in, and what the manifest says of it.

Not the converters and not the checks: see `gatelet.convert.keras_route.bundle` and `route_parity`.
"""

import importlib.metadata
import platform
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatelet.convert.keras_route.bundle import route_artifacts, write_route_bundle
from gatelet.convert.keras_route.parity import judge_route
from gatelet.convert.parity import ParityReport
from gatelet.convert.parity.oracles.ask import has_keras
from gatelet.convert.reading.files import suffix_of
from gatelet.convert.schemes import Scheme
from gatelet.errors import ConfigError, ConversionError, DataError, ModelError
from gatelet.runtime.bundle.opening import Bundle, open_bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.run import Run, is_run
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.interface import interface_to_dict
from gatelet.runtime.vectorizer.opening import AnyVectorizer

__all__ = ["RouteSettings", "convert_past_the_graph"]


@dataclass(frozen=True)
class RouteSettings:
    """What the caller of a conversion past the Graph may set; see `convert_with_report`."""

    vectorizer: AnyVectorizer | None
    data: Dataset | Arrays | None
    labels: tuple[str, ...]
    strip: bool
    golden_texts: bool
    progress: Callable[[str], None]


def convert_past_the_graph(
    model_or_run: Any, out: Path, chosen: Sequence[tuple[str, Scheme]], settings: RouteSettings
) -> tuple[Bundle, ParityReport]:
    """Convert a model with layers that the Graph does not know, with Keras as the oracle.

    Args:
        model_or_run: A Run, the path of a run or of a Keras file, or a live Keras model.
        out: The bundle's folder.
        chosen: Targets and schemes; those that this route does not make are left out.
        settings: The caller's.

    Raises:
        ConversionError: Keras is not installed, a converter gave no usable file, or a gate
            refused it.
        ModelError: Keras cannot load the model.
    """
    if not has_keras():
        raise ConversionError("the route past the Graph needs Keras: pip install 'gatelet[train]'")
    kept = route_artifacts(chosen)
    name, keras_file, run = _read(model_or_run)
    vectorizer = settings.vectorizer or (run.vectorizer() if run is not None else None)
    test = run.test() if run is not None else None
    rows: Sequence[str] | Arrays = ()
    if isinstance(settings.data, Arrays):
        rows = settings.data
    elif vectorizer is not None and (dataset := settings.data or test) is not None:
        rows = dataset.texts
    elif settings.data is not None:
        raise DataError(f"model '{name}' comes without a vectorizer: give one with --vectorizer")

    def facts(interface: Graph, told: dict[str, Any]) -> dict[str, Any]:
        labels = settings.labels or (run.labels if run is not None else ())
        return {
            "name": out.name,
            "route": "keras",
            "interface": interface_to_dict(interface),
            "labels": list(_labels(labels, interface, told["activation"])),
            "threshold": run.threshold if run is not None else 0.5,
            "provenance": {
                "gatelet": importlib.metadata.version("gatelet"),
                "python": platform.python_version(),
                "unicode": unicodedata.unidata_version,
                "keras_of_model": told["keras"],
                "model": name,
                "parameters": told["parameters"],
            },
        }

    report = write_route_bundle(
        out,
        keras_file,
        kept,
        facts=facts,
        vectorizer=vectorizer,
        rows=rows,
        strip=settings.strip,
        golden_texts=settings.golden_texts,
        progress=settings.progress,
        judge=judge_route,
    )
    return open_bundle(out), report


def _read(source: Any) -> tuple[str, bytes, Run | None]:
    """Give a name, the Keras file, and the run that it is of."""
    if isinstance(source, str | Path) and is_run(Path(source)):
        source = Run.open(Path(source))
    if isinstance(source, Run):
        return source.path.name, source.model_path.read_bytes(), source
    if isinstance(source, str | Path):
        suffix_of(Path(source))
        return Path(source).stem, Path(source).read_bytes(), None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        try:
            source.save(path)
        except (OSError, TypeError, ValueError, NotImplementedError) as error:
            raise ModelError(f"Keras cannot save the model '{source.name}': {error}") from error
        return str(source.name), path.read_bytes(), None


def _labels(given: Sequence[str], interface: Graph, activation: str) -> tuple[str, ...]:
    """Check labels, or number the classes of a classifier."""
    shape = interface.shape_of(interface.outputs[0])
    scores = shape[-1] or 0
    if given:
        if len(given) != max(2, scores) or len(set(given)) < len(given):
            raise ConfigError(
                f"the labels are {', '.join(given)}: the model gives {scores} scores a row, so "
                f"name {max(2, scores)} different labels"
            )
        return tuple(given)
    if len(shape) != 2 or len(interface.outputs) > 1:
        return ()
    if activation == "sigmoid" and scores == 1:
        return ("0", "1")
    return tuple(str(index) for index in range(scores)) if activation == "softmax" else ()
