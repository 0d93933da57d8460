"""What `gatelet tune` measures of artifacts: the bytes of one, and how long it takes for a row.

Not predictions, which are `gatelet.train.tune.costs`: here a network is exported.
"""

from dataclasses import replace
from functools import partial

from gatelet.convert import convert_with_report
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.lowering import lower
from gatelet.convert.passes import skip_padding
from gatelet.convert.passes.rewriting import padded_timesteps
from gatelet.convert.reading.model_source import open_source
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.measure.latency import median_latencies_us
from gatelet.runtime.stages import temporary_folder
from gatelet.train.config import TrainConfig
from gatelet.train.inputs.fragments import in_memory
from gatelet.train.model import Network, known_warnings
from gatelet.train.prepare import Prepared
from gatelet.train.tune.config import Measure

TARGET = "c"
ROWS = 64
"""Rows of the validation part that a latency is measured on."""


def exporting(scheme: str) -> Measure:
    """Return what measures the bytes of a network's artifact, as `gatelet convert` writes it."""
    return partial(_exported_bytes, scheme=scheme)


def timing(scheme: str) -> Measure:
    """Return what measures the median microseconds of a row on this machine."""
    return partial(_latency_us, scheme=scheme)


def _exported_bytes(
    network: Network, prepared: Prepared, config: TrainConfig, *, scheme: str
) -> float:
    with known_warnings():
        source = replace(open_source(network.model), vectorizer=prepared.words)
    graph = lower(source.model)
    skipping = skip_padding(graph, timesteps=padded_timesteps(source))
    exportable = Exportable(graph, skipping, source.vectorizer)
    return len(write_model(exportable, SCHEMES[scheme]).weights)


def _latency_us(network: Network, prepared: Prepared, config: TrainConfig, *, scheme: str) -> float:
    part = prepared.parts.validation
    rows = part.rows(range(min(ROWS, len(part))))
    with temporary_folder() as folder, known_warnings():
        bundle, _ = convert_with_report(
            network.model,
            folder / "bundle",
            targets=[TARGET],
            schemes=[scheme],
            vectorizer=prepared.words,
            labels=prepared.labels,
            multi_label=prepared.task.name == "multi-label",
            data=in_memory(rows) if isinstance(rows, Arrays) else rows,
            with_keras=False,
        )
        return median_latencies_us(bundle)[TARGET, scheme]
