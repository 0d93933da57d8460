"""The route past the Graph: a Keras model through Keras' own converters, with Keras as the oracle.

Not the rule: what the Graph knows is converted by our own exporters (`gatelet.convert.conversion`).
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.bundle.writer import BundleWriter, commit
from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.gates.gates import check_bytes, check_predictions
from gatelet.convert.parity.oracles.ask import ids_of, rows_of
from gatelet.convert.reading import keras_suffix
from gatelet.convert.rows.drawn import random_rows
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.schemes import Scheme
from gatelet.convert.tolerances import FLOAT32_FACTOR, FLOAT32_FLOOR
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConfigError, ModelError
from gatelet.runtime.backends.targets import TARGETS
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.bundle.storage import BYTES_OF
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.files import stage_beside
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.interface import interface_of
from gatelet.runtime.vectorizer.opening import AnyVectorizer

__all__ = [
    "ROUTE_SCHEMES",
    "KerasAnswers",
    "ask_keras",
    "route_artifacts",
    "write_route_bundle",
]

ROUTE_SCHEMES = {name: row.past_graph for name, row in EXPORTERS.items() if row.past_graph}
"""What Keras' own converters make well enough to be offered."""

BESIDE_BYTES = 512 * 1024
"""What a file of theirs may hold beside weights: they write loops and shapes out."""

GOLDEN_ROWS = 16
Array = NDArray[Any]


@dataclass(frozen=True)
class KerasAnswers:
    """What Keras gives for some rows.

    Args:
        inputs: By input.
        scores: [N, ...]; several outputs side by side.
        outputs: By output.
        float32_limit: What float32 artifacts are held to.
        version: Of that Keras.
    """

    inputs: Rows
    scores: Array
    outputs: dict[str, Array]
    float32_limit: float
    version: str


def route_artifacts(chosen: Sequence[tuple[str, Scheme]]) -> list[tuple[str, Scheme]]:
    """Keep what this route makes.

    Raises:
        ConfigError: Nothing is left.
    """
    kept = [(target, one) for target, one in chosen if one.name in ROUTE_SCHEMES.get(target, ())]
    if not kept:
        offered = "; ".join(f"{t} {', '.join(names)}" for t, names in ROUTE_SCHEMES.items())
        raise ConfigError(f"the route past the Graph makes {offered}: choose among them")
    return kept


def write_route_bundle(
    out: Path,
    keras_file: bytes,
    chosen: Sequence[tuple[str, Scheme]],
    *,
    facts: Callable[[Graph, dict[str, Any]], dict[str, Any]],
    vectorizer: AnyVectorizer | None,
    rows: Sequence[str] | Arrays,
    strip: bool,
    golden_texts: bool,
    progress: Callable[[str], None],
    judge: Callable[..., Any],
) -> Any:
    """Convert a Keras file as it is, hold it to the gates and to Keras, and commit the bundle.

    Args:
        out: The bundle's folder.
        keras_file: The model.
        chosen: Targets and schemes.
        facts: Gives the manifest's facts for the interface and what `describe_job` said.
        vectorizer: For a model of texts.
        rows: To compare on; () for random ones.
        strip: Leave the Keras file out.
        golden_texts: Keep the texts of golden vectors.
        progress: Told what is being done.
        judge: Gives the report of an opened bundle, for the answers.

    Returns:
        The report.

    Raises:
        ModelError: Keras cannot load the model.
        ConversionError: A converter gave no usable file, or a gate refused it.
    """
    with stage_beside(out) as stage, Worker(scratch=stage) as worker:
        with tempfile.TemporaryDirectory(dir=stage, prefix="gatelet-") as folder:
            model = Path(folder) / f"model{keras_suffix(keras_file)}"
            model.write_bytes(keras_file)
            told = _call(worker, "describe_job", "loading of the model by Keras", model=str(model))
            interface = interface_of(told["interface"])
            writer = BundleWriter(stage, facts(interface, told))
            if vectorizer is not None:
                _check_vectorizer(vectorizer, interface)
                text = vectorizer.to_json().encode()
                writer.add_part("vectorizer", "vectorizer", ".json", text)
            if not strip:
                writer.add_part("source", "model", model.suffix, keras_file)
            for target, scheme in chosen:
                progress(f"exporting {target} {scheme.name} past the Graph")
                exported = _export(worker, model, target, scheme, told, Path(folder))
                writer.add_exported(target, scheme.name, EXPORTERS[target].suffix, exported)
        writer.write_manifest({})
        bundle = open_bundle(stage)
        progress("asking Keras")
        inputs, texts = _inputs(interface, vectorizer, rows)
        answers = ask_keras(keras_file, interface, inputs, worker, version=told["keras"])
        golden = _golden(answers, texts if golden_texts else ())
        writer.add_part("golden", "golden", ".json", golden)
        writer.facts = {**writer.facts, "float32_limit": answers.float32_limit}
        writer.write_manifest({})
        bundle = open_bundle(stage)
        check_predictions(bundle, answers.inputs, answers.scores)
        worker.close()  # its temporary files lie in the stage
        report = judge(bundle, answers, progress=progress)
        writer.write_manifest({(a.target, a.scheme): a.to_manifest() for a in report.artifacts})
        open_bundle(stage)
        commit(stage, out)
    return report


def ask_keras(
    keras_file: bytes, interface: Graph, inputs: Rows, worker: Worker, *, version: str
) -> KerasAnswers:
    """Let Keras itself predict some rows, in the worker process."""
    with tempfile.TemporaryDirectory(dir=worker.scratch, prefix="gatelet-") as folder:
        model = Path(folder) / f"model{keras_suffix(keras_file)}"
        model.write_bytes(keras_file)
        given, out = Path(folder) / "x.npz", Path(folder) / "y.npz"
        arrays: dict[str, Any] = {f"x_{i}": x for i, x in enumerate(inputs.feed.values())}
        np.savez(given, **arrays)
        own = _call(
            worker,
            "answer_job",
            "predictions by Keras",
            model=str(model),
            inputs=str(given),
            out=str(out),
        )
        with np.load(out) as found:
            outputs = {name: found[name] for name in interface.outputs}
    limit = max(FLOAT32_FLOOR, FLOAT32_FACTOR * float(own))
    return KerasAnswers(inputs, side_by_side(outputs), outputs, limit, version)


def _call(worker: Worker, job: str, step: str, **arguments: Any) -> Any:
    return worker.call(f"gatelet.convert.keras_route.jobs:{job}", arguments, step=step)


def _export(
    worker: Worker, model: Path, target: str, scheme: Scheme, told: dict[str, Any], folder: Path
) -> Exported:
    out = folder / f"{target}-{scheme.name}"
    out.mkdir()
    _call(
        worker,
        "export_keras_job",
        f"export to {target} {scheme.name} past the Graph",
        target=target,
        scheme=scheme.name,
        model=str(model),
        interface=json.dumps(told["interface"]),
        out=str(out),
    )
    exported = Exported.open(out)
    parameters = int(told["parameters"])
    check_bytes(
        target,
        scheme,
        len(exported.data),
        parameters=parameters,
        expected=int(parameters * BYTES_OF[scheme.weights]),
        beside=BESIDE_BYTES,
    )
    engine = TARGETS[target].engines[0].package
    return replace(exported, facts={**exported.facts, "engines": [engine]})


def _check_vectorizer(vectorizer: AnyVectorizer, interface: Graph) -> None:
    limit = interface.inputs[0].vocabulary
    if len(interface.inputs) > 1 or interface.inputs[0].dtype != "int32":
        raise ModelError("the model does not take ids alone, so it can have no vectorizer")
    if limit is not None and vectorizer.vocabulary_size > limit:
        raise ModelError(
            f"the vectorizer gives ids up to {vectorizer.vocabulary_size - 1}, the model takes "
            f"ids up to {limit - 1}: it belongs to another model"
        )


def _inputs(
    interface: Graph, vectorizer: AnyVectorizer | None, rows: Sequence[str] | Arrays
) -> tuple[Rows, Sequence[str]]:
    if isinstance(rows, Arrays):
        return rows_of(interface, rows), ()
    if vectorizer is not None and rows:
        return Rows({interface.inputs[0].name: ids_of(vectorizer, rows)}), rows
    return random_rows(interface, vectorizer, {}), ()


def _golden(answers: KerasAnswers, texts: Sequence[str]) -> bytes:
    step = max(1, len(answers.inputs) // GOLDEN_ROWS)
    finite = np.isfinite(answers.scores).reshape(len(answers.scores), -1).all(axis=1)
    rows = np.flatnonzero(finite)[::step][:GOLDEN_ROWS]
    content = {
        "texts": [texts[row] for row in rows] if texts else None,
        "inputs": {name: array[rows].tolist() for name, array in answers.inputs.feed.items()},
        "outputs": {name: array[rows].tolist() for name, array in answers.outputs.items()},
    }
    return json.dumps(content).encode()
