"""Whether the integers of a file follow float through streams as long as the model remembers.

What the weights alone tell is in `slow_units`. Here the file itself runs, in TensorFlow Lite for
Microcontrollers, beside two float files: one with the model's weights, and one with what the
integers of its kernels stand for. Not parity, which streams other rows again.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from reprlib import repr as show

import numpy as np

from gatelet.convert.exporters.tflm.contract import written
from gatelet.convert.exporters.tflm.step import Array, StepWriter
from gatelet.convert.exporters.tflm.streams import IN_TURN, slow_units, streams_of
from gatelet.convert.exporters.tflm.walk import write_step
from gatelet.convert.exporters.time_constants import CONSTANTS, SHORTEST
from gatelet.runtime.backends.tflm import TflmBackend
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streaming import streaming_refusal

LIMIT = 0.008
"""Of an output's span: how far integers may be from float, so that other inputs stay within 1 %."""
WITHIN = 0.01
"""Of an output's span: how far streams may be off where rows of calibration are off by less."""
NO_MEMORY = 9
"""A unit that forgets within these steps is judged by rows alone."""
FAST_STEPS = 50
"""A unit that forgets within these, or a tenth of a row, has shown on rows what weights cost."""
GROSS = 0.25
"""Where all units forget within a row, how far another stream than the rows in turn may be off."""
GROSS_OF_ROWS = 0.25
"""How far the rows in turn may be off then; parity judges what smaller errors do to decisions."""
SHARE = 0.95
"""Of a stream, how many steps are held to float with what the integers stand for."""
BUDGET_S = 4.0
"""Of processor time: then the streams end."""
_BLOCK_STEPS = 250
_LEAST_SPAN = 0.1
"""Of the largest span: a stream that hardly moves is no measure of its own."""


def long_stream_refusal(
    graph: Graph, rows: Mapping[str, Array], data: bytes, writer: StepWriter
) -> str:
    """Say which layer a file's integers get wrong in a long stream; '' where they do not.

    Args:
        graph: The model.
        rows: Of calibration, by graph input.
        data: The file.
        writer: That wrote it.
    """
    units = [] if streaming_refusal(graph) else slow_units(graph, rows)
    if not units:
        return ""
    files = _files(graph, data, writer)
    timesteps = max(array.shape[1] for array in rows.values() if array.ndim > 1)
    limit, slowest = LIMIT, units[0]
    is_fast = slowest.constant <= max(FAST_STEPS, timesteps / 10)
    if is_fast:
        limit = np.inf
    streams = [
        _Stream(name, files, inputs, outputs=len(graph.outputs))
        for name, inputs in streams_of(graph, rows, slowest)
    ]
    # what forgets sooner is long as rows are, and parity judges it by those alone
    is_slow = CONSTANTS * slowest.constant > SHORTEST
    found = _worst(streams, limit, is_slow=is_slow)
    if not found and is_fast and _is_shown_whole(graph, slowest.constant, timesteps):
        found = _worse_than_rows(streams)
    if not found:
        return ""
    layer = show(slowest.node.source or slowest.node.name)
    return (
        f"layer {layer}: unit {slowest.unit} has a time constant of {slowest.constant:,.0f} steps; "
        f"{found}: use --target c, or float32"
    )


def _files(graph: Graph, data: bytes, writer: StepWriter) -> tuple[TflmBackend, ...]:
    """Return what runs the file, float, and float with what the integers stand for."""
    tables = {one.role: one.data for one in writer.tables.values()}
    files = [TflmBackend(data, engine="", tables=tables)]
    for rounds in (False, True):
        floats = StepWriter(fused=writer.fused, rounds=rounds)
        files.append(TflmBackend(written(graph, floats, write_step(graph, floats)), engine=""))
    return tuple(files)


def _worst(streams: Sequence["_Stream"], limit: float, *, is_slow: bool) -> str:
    """Run all streams side by side, as long as nothing is wrong; say what is."""
    start_s = time.process_time()
    while any([one.advance() for one in streams]):
        spans = np.max([one.spans for one in streams], axis=0)
        if any(one.off(spans) > limit for one in streams):
            break
        if time.process_time() - start_s > BUDGET_S:
            break
    spans = np.max([one.spans for one in streams], axis=0)
    for one in streams:
        own = np.maximum(one.spans, _LEAST_SPAN * spans)
        of_rounded = LIMIT if (one.name == IN_TURN and is_slow) or limit == LIMIT else GROSS
        for figure, highest, said in (
            (one.off(own), min(limit, GROSS_OF_ROWS) if one.name == IN_TURN else limit, "float"),
            (one.rounded_off(own), of_rounded, "float with its own weights"),
        ):
            if figure > highest:
                return (
                    f"over {one.steps:,} steps of {one.name} its integers are {figure:.1%} of the "
                    f"output's span off {said} (limit {highest:.1%})"
                )
    return ""


def _is_shown_whole(graph: Graph, constant: float, timesteps: int) -> bool:
    """Return whether rows of features show all that a unit of some memory does; texts do not."""
    features = all(one.dtype.startswith("float") for one in graph.inputs)
    return features and constant >= NO_MEMORY and CONSTANTS * constant <= timesteps


def _worse_than_rows(streams: Sequence["_Stream"]) -> str:
    """Say which stream is off by more than the rows in turn are, which show all of the memory."""
    spans = np.max([one.spans for one in streams], axis=0)
    off = {one.name: one.off(np.maximum(one.spans, _LEAST_SPAN * spans)) for one in streams}
    limit = max(WITHIN, off.pop(IN_TURN))
    worst = max(off, key=off.__getitem__)
    if off[worst] <= limit:
        return ""
    return (
        f"over {worst} its integers are {off[worst]:.1%} of the output's span off float "
        f"(limit {limit:.1%})"
    )


class _Stream:
    """A stream that runs through an integer file and two of floats, a block at a time.

    Args:
        name: What it is.
        files: The integer file, float, and float with what the integers stand for.
        inputs: Of one row.
        outputs: How many the model has.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[TflmBackend],
        inputs: Mapping[str, Array],
        *,
        outputs: int,
    ) -> None:
        self.name, self.steps = name, 0
        self._followed = [one.follow(inputs) for one in files]
        self._off = np.zeros(outputs)
        self._rounded_off = [np.zeros((1, outputs))]
        self._low, self._high = np.full(outputs, np.inf), np.full(outputs, -np.inf)

    @property
    def spans(self) -> Array:
        """Of each output, so far."""
        return np.asarray(np.maximum(self._high - self._low, 1e-9))

    def advance(self) -> bool:
        """Run a block; False at the end."""
        found, exact, rounded = (_block(one) for one in self._followed)
        if not found:
            return False
        self.steps += len(found[0])
        self._off = np.maximum(self._off, _apart(found, exact).max(axis=0))
        self._rounded_off.append(_apart(found, rounded))
        self._low = np.minimum(self._low, [one.min() for one in exact])
        self._high = np.maximum(self._high, [one.max() for one in exact])
        return True

    def off(self, spans: Array) -> float:
        """Return how far it is off float at most, in spans of the outputs."""
        return float((self._off / spans).max())

    def rounded_off(self, spans: Array) -> float:
        """Return how far most steps are off float with what the integers stand for."""
        off = np.concatenate(self._rounded_off) / spans
        return float(np.quantile(off, SHARE, axis=0, method="higher").max())


def _apart(found: Sequence[Array], exact: Sequence[Array]) -> Array:
    """Return how far each step [n, outputs] is off at most."""
    pairs = zip(found, exact, strict=True)
    return np.stack([np.abs(a - b).max(axis=1) for a, b in pairs], axis=1)


def _block(steps: Iterator[list[Array]]) -> list[Array]:
    """Return the outputs [n, size] of the next steps."""
    made = list(islice(steps, _BLOCK_STEPS))
    return [np.stack([one.ravel() for one in output]) for output in zip(*made, strict=True)]
