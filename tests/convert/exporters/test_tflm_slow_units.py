"""tflm's integers over streams: within the limit, or refused with the figure."""

from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.tflm import export_tflm
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


@pytest.mark.parametrize(("kind", "tau"), [("gru", 300.0), ("chrono", 60.0)])
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
