"""tflm's integers over streams: within the limit, or refused with the figure."""

from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.tflm import export_tflm, long_streams
from gatelet.convert.exporters.tflm.contract import written
from gatelet.convert.exporters.tflm.step import StepWriter
from gatelet.convert.exporters.tflm.streams import slow_units, streams_of
from gatelet.convert.exporters.tflm.walk import write_step
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import Refused
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.backends.tflm import TflmBackend
from tests.convert.exporters.slow_graphs import signals, slow_graph

pytestmark = pytest.mark.ci


def off_after(kind: str, taus: tuple[float, ...], steps: int, *, shown: int = 200) -> Any:
    """Return how far a stream is from float at most, as a share of the output's span."""
    graph = slow_graph(kind, 4, 61, taus=taus)
    x = signals(steps, 61)["sines"]
    calibration = Calibration({"features": x[:, :1000].reshape(-1, shown, 2)}, "test")
    model = Exportable(graph, graph, name="m", calibration=calibration)
    data = export_tflm(model, SCHEMES["full-int8"]).data
    found = TflmBackend(data, engine="").run({"features": x})[graph.outputs[0]]
    exact = ReferenceBackend(graph, dtype=np.float64).run({"features": x})[graph.outputs[0]]
    return np.abs(found - exact).max() / np.ptp(exact)


@pytest.mark.parametrize(("kind", "tau"), [("gru", 15.0), ("chrono", 30.0)])
def test_units_that_are_taken_stay_within_the_limit(kind: str, tau: float) -> None:
    pytest.importorskip("tflite_micro")
    assert 1e-5 < off_after(kind, (10.0, tau), 2000) < 0.01


@pytest.mark.parametrize(
    ("kind", "taus", "shown", "said"),
    [
        (
            "chrono",
            (10.0, 5000.0),
            200,
            "unit 1 has a time constant of 5,000 steps; its 16 bits stop",
        ),
        ("gru", (10.0, 5000.0), 200, "unit 1 has a time constant of 5,000 steps; its 16 bits stop"),
        ("small", (10.0, 110.0), 50, "its cell may reach 2.7 times what 50 steps of calibration"),
        # the weights alone tell nothing against these
        (
            "gru",
            (10.0, 300.0),
            200,
            "unit 3 has a time constant of 351 steps; over 1,000 steps of the largest candidate "
            "its integers are 2.1% of the output's span off float (limit 0.8%)",
        ),
        ("counter", (10.0, 110.0), 200, "of the output's span off float (limit 0.8%)"),
        # rows show all that these remember: no other stream may be off by more than rows are
        ("small", (10.0,), 200, "span off float (limit 1."),
    ],
)
def test_units_that_stop_or_are_cut_off_are_refused(
    kind: str, taus: tuple[float, ...], shown: int, said: str
) -> None:
    pytest.importorskip("tflite_micro")
    with pytest.raises(Refused) as refused:
        off_after(kind, taus, 1000, shown=shown)
    text = str(refused.value)
    assert said in text and "limit" in text and len(text) <= 300
    assert text.startswith("tflm full-int8: layer 'n0_")


def test_units_that_forget_within_a_row_are_held_to_float_with_their_own_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("tflite_micro")
    monkeypatch.setattr(long_streams, "GROSS", 0.0001)
    with pytest.raises(Refused, match=r"span off float with its own weights \(limit 0.0%\)"):
        off_after("gru", (10.0,), 400)


def test_streams_hold_seen_timesteps_and_last_five_time_constants() -> None:
    graph = slow_graph("chrono", 4, 61, taus=(10.0, 400.0))
    rows = signals(400, 61)["noise"].reshape(8, 50, 2)
    (slowest,) = slow_units(graph, {"features": rows})
    assert slowest.unit in (1, 3) and 300 < slowest.constant < 500
    made = dict(streams_of(graph, {"features": rows}, slowest))
    assert len(made) == 12
    seen = {tuple(one) for one in rows.reshape(-1, 2).tolist()}
    for name, inputs in made.items():
        (stream,) = inputs["features"]
        assert len(stream) >= int(5 * slowest.constant)
        assert np.abs(stream).max() <= np.abs(rows).max()
        assert name == "sines" or {tuple(one) for one in stream.tolist()} <= seen


def test_a_float_file_can_store_what_the_integers_stand_for() -> None:
    pytest.importorskip("tflite_micro")
    graph = slow_graph("gru", 4, 61, taus=(10.0,))
    writer = StepWriter(rounds=True)
    data = written(graph, writer, write_step(graph, writer))
    x = signals(50, 61)["sines"]
    found = TflmBackend(data, engine="").run({"features": x})[graph.outputs[0]]
    exact = ReferenceBackend(graph).run({"features": x})[graph.outputs[0]]
    assert 1e-4 < np.abs(found - exact).max() < 0.02
    (kernel,) = [
        one.data for one in writer.file.made if one.data is not None and one.shape == (12, 2)
    ]
    steps = kernel / np.abs(kernel).max() * 127
    assert np.abs(steps - np.rint(steps)).max() < 1e-3


def test_a_row_that_is_followed_gives_its_outputs_after_each_step() -> None:
    pytest.importorskip("tflite_micro")
    graph = slow_graph("gru", 4, 61, taus=(10.0,))
    writer = StepWriter()
    backend = TflmBackend(written(graph, writer, write_step(graph, writer)), engine="")
    x = signals(30, 61)["sines"]
    pair = [backend.follow({"features": one}) for one in (x, -x)]
    found = [[step[0].ravel() for step in both] for both in zip(*pair, strict=True)]
    for place, one in enumerate((x, -x)):
        whole = backend.run({"features": one})[graph.outputs[0]][0]
        assert np.array_equal([steps[place] for steps in found], whole)
