"""Exports a model to every artifact that is asked for, with the streaming files beside them.

Not the exporters, which are listed in `targets.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gatelet.convert.exporters.exported import Companion, Exportable, Exported
from gatelet.convert.exporters.targets import EXPORTERS, export
from gatelet.convert.schemes import Scheme
from gatelet.convert.worker.worker import Worker
from gatelet.errors import CompilerFailed, Refused
from gatelet.runtime.backends.targets import TARGETS
from gatelet.runtime.graph.states import STREAM_ROLE
from gatelet.runtime.graph.streaming import StreamingGraph


@dataclass(frozen=True)
class Made:
    """What an exporter made.

    Args:
        target: Of the artifact.
        scheme: Of the artifact.
        exported: The artifact.
        form: Its streaming form, exported likewise; None where it has no streaming file.
        streaming: What was exported to that form.
    """

    target: str
    scheme: Scheme
    exported: Exported
    form: Exported | None = None
    streaming: StreamingGraph | None = None

    @property
    def suffix(self) -> str:
        """The suffix of its files."""
        return EXPORTERS[self.target].suffix


def export_all(
    model: Exportable,
    chosen: Sequence[tuple[str, Scheme]],
    worker: Worker,
    *,
    optional: bool,
    what_fits: bool = False,
    progress: Callable[[str], None],
) -> tuple[Made, ...]:
    """Export each artifact, and its streaming form where the model streams.

    Args:
        model: What to export.
        chosen: Targets and schemes.
        worker: Where exporters run that can crash.
        optional: A target without a compiler is left out, as nobody asked for it by name.
        what_fits: So is an artifact that would get the model wrong, unless it is the only one.
        progress: Called with what is being exported.

    Raises:
        ConversionError: An exporter failed.
        Refused: An artifact that was asked for, or the only one, would get the model wrong.
        CompilerFailed: A target that was asked for, or is the only one, needs a C compiler.
    """
    made: list[Made] = []
    without: set[str] = set()
    refused = 0
    for target, scheme in chosen:
        if target in without:
            continue
        progress(f"exporting {target} {scheme.name}")
        try:
            exported = export(model, target, scheme, worker)
        except CompilerFailed as error:
            without.add(target)
            if not optional or {one for one, _ in chosen} == without:
                raise
            progress(f"leaving out {target}: {error}")
            continue
        except Refused as error:
            refused += 1
            if not what_fits or refused == len(chosen):
                raise
            progress(f"leaving out {target} {scheme.name}: {error}")
            continue
        form = None
        in_file = TARGETS[target].streaming == "file"
        if model.stream_files and model.streaming is not None and in_file:
            progress(f"exporting {target} {scheme.name} for streaming")
            graph = model.streaming.graph
            form = export(replace(model, graph=graph, skipping=graph), target, scheme, worker)
        made.append(Made(target, scheme, exported, form, model.streaming))
    return tuple(made)


def with_stream(made: Made, *, stem: str = "") -> Exported:
    """Return an artifact with its streaming file beside it.

    Args:
        made: The artifact and its streaming form.
        stem: Of the file's name; '' for the usual one.
    """
    if made.form is None or made.streaming is None:
        return made.exported
    facts = {
        "states": [state.to_manifest() for state in made.streaming.states],
        "max_batch": made.form.max_batch,
        "ops": list(made.form.ops),
    }
    stem = stem or f"{made.target}-{made.scheme.name}-stream"
    file = Companion(STREAM_ROLE, stem, made.suffix, made.form.data)
    return replace(
        made.exported,
        facts={**made.exported.facts, STREAM_ROLE: facts},
        companions=(*made.exported.companions, file),
    )
