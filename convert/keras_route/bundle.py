"""Artifacts by Keras' own converters, and Keras' answers: what the route past the Graph is made of.

Not its order, which is in `convert.py`.
"""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.gates.gates import Budget, check_bytes
from gatelet.convert.reading import keras_suffix
from gatelet.convert.rows.drawn import MADE_UP
from gatelet.convert.rows.evidence import AnyGroups, Evidence, all_rows, evidence_of
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.schemes import Scheme
from gatelet.convert.tolerances import FLOAT32_FACTOR, FLOAT32_FLOOR
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConfigError, ConversionError, ModelError
from gatelet.runtime.backends.targets import TARGETS
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.bundle.storage import BYTES_OF
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer

ROUTE_SCHEMES = {name: row.past_graph for name, row in EXPORTERS.items() if row.past_graph}
"""What Keras' own converters make well enough to be offered."""

BESIDE_BYTES = 512 * 1024
"""What a file of theirs may hold beside weights: they write loops and shapes out."""

GOLDEN_ROWS = 16
Array = NDArray[Any]


GOLDEN = "golden rows"


@dataclass(frozen=True)
class KerasAnswers:
    """What Keras gives for some rows.

    Args:
        inputs: By input.
        scores: [N, ...]; several outputs side by side.
        outputs: By output.
        float32_limit: What float32 artifacts are held to.
        version: Of that Keras.
        over: What the rows are.
        groups: Which rows belong together; None where each stands for itself.
    """

    inputs: Rows
    scores: Array
    outputs: dict[str, Array]
    float32_limit: float
    version: str
    over: str = MADE_UP
    groups: AnyGroups = None

    @property
    def made_up(self) -> bool:
        """Whether nobody gave the rows."""
        return self.over in (MADE_UP, GOLDEN)

    @property
    def evidence(self) -> Evidence:
        """Which rows count."""
        if self.made_up:
            return all_rows(len(self.inputs))
        return evidence_of(self.inputs.feed, self.groups)


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


def ask_keras(
    keras_file: bytes, interface: Graph, inputs: Rows, worker: Worker, *, version: str
) -> KerasAnswers:
    """Let Keras itself predict some rows, in the worker process."""
    with worker.exchange() as folder:
        model = folder / f"model{keras_suffix(keras_file)}"
        model.write_bytes(keras_file)
        given, out = folder / "x.npz", folder / "y.npz"
        arrays: dict[str, Any] = {f"x_{i}": x for i, x in enumerate(inputs.feed.values())}
        np.savez(given, **arrays)
        own = call_job(
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


def make_again(
    bundle: Bundle, keras_file: bytes, worker: Worker, progress: Callable[[str], None]
) -> dict[tuple[str, str], bytes]:
    """Let Keras' own converters make the artifacts of a bundle again, from its model.

    Returns:
        The files by target and scheme, without those that cannot be made here.
    """
    made = {}
    for one in bundle.artifacts:
        progress(f"making {one.target} {one.scheme} again, to compare its weights")
        with contextlib.suppress(ConversionError, ModelError), worker.exchange() as folder:
            model, out = folder / f"model{keras_suffix(keras_file)}", folder / "again"
            model.write_bytes(keras_file)
            call_job(
                worker,
                "again_job",
                f"export to {one.target} {one.scheme} past the Graph",
                target=one.target,
                scheme=one.scheme,
                model=str(model),
                interface=json.dumps(bundle.manifest["interface"]),
                batch=one.entry.get("batch"),
                out=str(out),
            )
            made[one.target, one.scheme] = out.read_bytes()
    return made


def call_job(worker: Worker, job: str, step: str, **arguments: Any) -> Any:
    """Run a function of `jobs.py` in the worker process."""
    return worker.call(f"gatelet.convert.keras_route.jobs:{job}", arguments, step=step)


def export_route(
    worker: Worker, model: Path, target: str, scheme: Scheme, told: Mapping[str, Any]
) -> Exported:
    """Let Keras' own converter make an artifact, and hold it to the gates.

    Args:
        worker: Where the converter runs.
        model: The Keras file, in a folder for files that come and go.
        target: Of the artifact.
        scheme: Of the artifact.
        told: What `describe_job` said of the model.

    Raises:
        ConversionError: The converter gave no usable file, or a gate refused it.
    """
    out = model.parent / f"{target}-{scheme.name}"
    out.mkdir()
    call_job(
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
        Budget(parameters, int(parameters * BYTES_OF[scheme.weights]), BESIDE_BYTES),
    )
    engine = TARGETS[target].engines[0].package
    return replace(exported, facts={**exported.facts, "engines": [engine]})


def check_vectorizer(vectorizer: AnyVectorizer, interface: Graph) -> None:
    """Refuse a vectorizer that cannot be the model's."""
    limit = interface.inputs[0].vocabulary
    if len(interface.inputs) > 1 or interface.inputs[0].dtype != "int32":
        raise ModelError("the model does not take ids alone, so it can have no vectorizer")
    if limit is not None and vectorizer.vocabulary_size > limit:
        raise ModelError(
            f"the vectorizer gives ids up to {vectorizer.vocabulary_size - 1}, the model takes "
            f"ids up to {limit - 1}: it belongs to another model"
        )


def route_golden(answers: KerasAnswers, texts: Sequence[str]) -> bytes:
    """Return the JSON of golden vectors: some of the rows, and what Keras gives for them."""
    step = max(1, len(answers.inputs) // GOLDEN_ROWS)
    finite = np.isfinite(answers.scores).reshape(len(answers.scores), -1).all(axis=1)
    rows = np.flatnonzero(finite)[::step][:GOLDEN_ROWS]
    content = {
        "texts": [texts[row] for row in rows] if texts else None,
        "inputs": {name: array[rows].tolist() for name, array in answers.inputs.feed.items()},
        "outputs": {name: array[rows].tolist() for name, array in answers.outputs.items()},
    }
    return json.dumps(content).encode()
