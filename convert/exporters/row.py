"""What a row of the table of targets says.

Not the table, which is in `gatelet.convert.exporters.targets`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer

Refusal = Callable[[Graph, Scheme, AnyVectorizer | None], str]
"""Says why a target cannot take a Graph in a scheme with the model's vectorizer, without export;
'' where it can."""


def no_refusal(graph: Graph, scheme: Scheme, vectorizer: AnyVectorizer | None) -> str:
    """Refuse nothing: of a target that takes whatever it has the operations and types for."""
    return ""


@dataclass(frozen=True)
class Frame:
    """What takes bytes in a file beside weights.

    Args:
        file: The file itself.
        last: A recurrence that gives its last output.
        sequence: A recurrence that gives all of them.
        other: Any other node.
    """

    file: int = 0
    last: int = 0
    sequence: int = 0
    other: int = 0


@dataclass(frozen=True)
class Exporter:
    """How a target's artifacts are made, and what is known of them.

    Args:
        function: Exports in this process.
        suffix: Of the artifact's file, whose operators the gates look at by it.
        package: What must be installed, by its import name.
        extra: The extra of gatelet that installs it.
        isolated: It can crash or hang, so it runs in the worker process.
        made: When: 'by default'; 'with a scheme' that is named, or when it is named itself; 'when
            named', since not every model fits it, or for a scheme that no other target has.
        operations: Of the Graph, that it can write; None where `refuses` says so.
        rungs: The schemes of which the smallest that is good enough is kept where none is named.
        refuses: What else it cannot take.
        numbers: The types of weights and activations that it has, in pairs.
        embeddings: The types that embeddings may be stored in where weights have another.
        recurrents: The types that recurrent kernels may be stored in where weights have another.
        fixes_batch: It makes files for a fixed number of rows.
        parts_embeddings: It makes files that take rows of embeddings, which lie beside them.
        skips_padding: Its artifacts are made from the Graph that skips padding.
        frames: What takes bytes beside weights: of files of float weights, and of others.
        weight_bytes: What weights take; None where each is stored by itself, as in
            `gatelet.convert.exporters.stored_bytes`.
        row_scale_bytes: The scale of a row of an embedding.
        vocabulary_bytes: What a vectorizer's words take in an artifact; None where it has none.
        loops: How many loop operators a Graph needs; None where their number says nothing.
        keeps_variables: Tensors may outlive a call: the engine resets them itself.
        stored_as: The target whose files store weights as its own do, for parity; '' for none.
        past_graph: The schemes that Keras' own converters make well enough to be offered.
    """

    function: Callable[[Exportable, Scheme], Exported]
    suffix: str
    package: str
    extra: str
    isolated: bool
    made: Literal["by default", "with a scheme", "when named"]
    numbers: tuple[tuple[str, str], ...]
    frames: tuple[Frame, Frame]
    operations: Collection[str] | None = None
    rungs: tuple[str, ...] = ()
    refuses: Refusal = no_refusal
    embeddings: tuple[str, ...] = ()
    recurrents: tuple[str, ...] = ()
    fixes_batch: bool = False
    parts_embeddings: bool = False
    skips_padding: bool = True
    weight_bytes: Callable[[Graph, Scheme], int] | None = None
    row_scale_bytes: int = 4
    vocabulary_bytes: Callable[[AnyVectorizer], int] | None = None
    loops: Callable[[Graph], int] | None = None
    keeps_variables: bool = False
    stored_as: str = ""
    past_graph: tuple[str, ...] = ()

    def lacks(self, scheme: Scheme) -> str:
        """Say which of a scheme's types or ways this target has not; '' if it has all."""
        if (scheme.weights, scheme.activations) not in self.numbers:
            return f"{scheme.weights} weights with {scheme.activations} activations"
        if scheme.embeddings and scheme.embeddings not in self.embeddings:
            return f"{scheme.embeddings} embeddings"
        if scheme.recurrent and scheme.recurrent not in self.recurrents:
            return f"{scheme.recurrent} recurrent kernels"
        if scheme.batch is not None and not self.fixes_batch:
            return f"files for {scheme.batch} rows"
        if scheme.outside and not self.parts_embeddings:
            return "files that take rows of embeddings"
        return ""
