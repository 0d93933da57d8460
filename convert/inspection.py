"""What a conversion of a Keras model would give, and what stands in its way, before any is made.

Not a conversion: nothing is exported and TensorFlow is not needed.
"""

import math
from dataclasses import dataclass
from typing import Any

from gatelet.convert.exporters.stored_bytes import file_bytes
from gatelet.convert.exporters.targets import EXPORTERS, TARGETS, refusal
from gatelet.convert.lowering import LOWERINGS, lower
from gatelet.convert.lowering.endings import outputs_of
from gatelet.convert.passes import skip_padding
from gatelet.convert.reading import SourceModel
from gatelet.convert.reading.meaning import told
from gatelet.convert.reading.source import SourceLayer
from gatelet.convert.rows.ranges import inputs_of_unknown_range
from gatelet.convert.schemes import SCHEMES, Scheme
from gatelet.errors import GateletError
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.operations import OVER_IMAGES, RECURRENCES
from gatelet.runtime.vectorizer.opening import AnyVectorizer


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates of a model.

    Args:
        per_timestep: Done again at each timestep.
        per_row: Done once for a row.
    """

    per_timestep: int
    per_row: int


@dataclass(frozen=True)
class Prospect:
    """One artifact that could be made, or why not.

    Args:
        target: Of the artifact.
        scheme: Of the artifact.
        bytes: About how many it would have; None where it cannot be made.
        obstacle: Why the target cannot take the model in this scheme; '' where it can.
    """

    target: str
    scheme: str
    bytes: int | None
    obstacle: str = ""


@dataclass(frozen=True)
class Lint:
    """What is known of a conversion before it is made.

    Args:
        graph: What the model would become; None where something stands in the way.
        cost: Of the Graph.
        prospects: What each target and scheme would give.
        obstacles: What stands in the way, a sentence each.
        notes: What should be known, a sentence each.
    """

    graph: Graph | None
    cost: Cost | None
    prospects: tuple[Prospect, ...]
    obstacles: tuple[str, ...]
    notes: tuple[str, ...]


def lint(
    model: SourceModel,
    *,
    padded_timesteps: int | None = None,
    vectorizer: AnyVectorizer | None = None,
) -> Lint:
    """Say what a conversion would give.

    Args:
        model: As read from a file or a live model.
        padded_timesteps: What texts are padded to in front; None where they are not.
        vectorizer: Of the model, where it has come with one.

    Returns:
        The findings; this does not raise for a model that cannot be lowered.
    """
    notes = tuple(_notes(model))
    try:
        graph = lower(model)
    except GateletError as error:
        unknown = [
            f"layer '{layer.name}' ({layer.class_name}) cannot be lowered"
            for layer in _all_layers(model)
            if layer.class_name not in LOWERINGS and layer.class_name != "InputLayer"
        ]
        first = str(error)
        others = [text for text in unknown if not first.startswith(text)]
        return Lint(None, None, (), (first, *others), notes)
    skipping = skip_padding(graph, timesteps=padded_timesteps)
    prospects = tuple(
        _prospect(graph, skipping, target, SCHEMES[name], vectorizer)
        for target, names in TARGETS.items()
        for name in names
    )
    more = (
        *_graph_notes(graph),
        *_range_notes(model, graph),
        *map(told, outputs_of(model, graph)),
    )
    return Lint(graph, cost_of(graph), prospects, (), (*notes, *more))


def _prospect(
    graph: Graph, skipping: Graph, target: str, scheme: Scheme, vectorizer: AnyVectorizer | None
) -> Prospect:
    obstacle = refusal(graph, target, scheme, vectorizer=vectorizer)
    if obstacle:
        return Prospect(target, scheme.name, None, obstacle)
    stored = skipping if EXPORTERS[target].skips_padding else graph
    return Prospect(target, scheme.name, file_bytes(stored, target, scheme, vectorizer=vectorizer))


def cost_of(graph: Graph) -> Cost:
    """Count the multiply-accumulates of matrix products and convolutions.

    Args:
        graph: The model.

    Returns:
        The counts; a node counts by timestep where its output, or its loop, has a time axis.
    """
    per_timestep = per_row = 0
    for node in graph.nodes:
        kernels = [name for role, name in node.weights.items() if role.endswith("kernel")]
        times = sum(math.prod(graph.weights[name].shape) for name in kernels)
        is_image = node.op in OVER_IMAGES
        if is_image:
            times *= math.prod(size or 1 for size in node.shape[-3:-1])
        if node.op in RECURRENCES or (len(node.shape) > 2 and not is_image):
            per_timestep += times
        else:
            per_row += times
    return Cost(per_timestep, per_row)


def _all_layers(model: SourceModel) -> list[SourceLayer]:
    found: list[SourceLayer] = []
    for layer in model.layers.values():
        found.append(layer)
        for part in layer.parts.values():
            found += _all_layers(part) if isinstance(part, SourceModel) else [part]
    return found


def _notes(model: SourceModel) -> list[str]:
    found = [f"written by Keras {model.keras_version}"]
    for layer in _all_layers(model):
        if layer.config.get("stateful"):
            found.append(
                f"layer '{layer.name}' is stateful: each call of an artifact starts from zero, "
                "and a streaming file goes with it where the model can stream"
            )
        policy: Any = layer.config.get("dtype")
        name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
        if isinstance(name, str) and "16" in name:
            found.append(f"layer '{layer.name}' has the policy {name}: it is computed in float32")
    return found


def _range_notes(model: SourceModel, graph: Graph) -> list[str]:
    return [
        f"full-int8 needs rows (--data): the model does not say in which range '{name}' lies"
        for name in inputs_of_unknown_range(model, graph)
    ]


def _graph_notes(graph: Graph) -> list[str]:
    return [
        f"the input '{one.name}' takes exactly {one.shape[1]} timesteps: a layer needs them known"
        for one in graph.inputs
        if len(one.shape) > 1
        and one.shape[1] is not None
        and (one.dtype == "int32" or len(one.shape) > 2)
    ]
