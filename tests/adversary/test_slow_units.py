"""c's full-int8 over long streams: no dead band, the same bits everywhere, and what is refused.

Not the sweep over models and signals, which is benchmarks/integer_states.py.
"""

import itertools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.artifacts import export_all
from gatelet.convert.exporters.c.build import FLAGS, run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.c.integers import observe
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.parity.computes.integers import run_integers
from gatelet.convert.passes.streaming import streaming_beside
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import Refused
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.slow_graphs import (
    FEATURES,
    TAUS,
    in_integers,
    model_of,
    signals,
    slow_graph,
    with_weights,
)

pytestmark = pytest.mark.ci

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "gru": ("gru", {}),
    "gru_reset_before": ("gru", {"reset_after": False}),
    "lstm": ("chrono", {}),
    "lstm_hard": ("small", {"recurrent_activation": "hard_sigmoid", "activation": "hard_sigmoid"}),
}


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any unit pass: what is asked is the arithmetic."""
    monkeypatch.setattr("gatelet.convert.exporters.c.export.slow_unit_refusal", lambda *given: "")


def pieces(backend: Any, x: Any, graph: Graph, *, as_lists: bool) -> Any:
    """Run a `step` in pieces of several sizes, its states as it gives them."""
    (node,) = graph.nodes
    names = [one.input for one in streaming_beside(graph, wanted=None).states]  # type: ignore[union-attr]
    units = node.shape[-1] or 0
    states: Any = [np.zeros((1, units), np.int32) for _ in names]
    states = [one.tolist() for one in states] if as_lists else states
    found = []
    for start, end in itertools.pairwise([0, 1, 2, 50, x.shape[1]]):
        part = x[:, start:end].tolist() if as_lists else x[:, start:end]
        made = backend.run({"features": part, **dict(zip(names, states, strict=True))})
        y, *states = made.values()
        found.append(np.asarray(y, np.float32))
    return np.concatenate(found, axis=1)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", LAYERS)
def test_numpy_c_and_its_step_give_the_same_bits(name: str, tmp_path: Path) -> None:
    kind, settings = LAYERS[name]
    graph = slow_graph(kind, 9, 5, **settings)
    shown = signals(300, 5)
    rows = np.concatenate([shown["sines"], shown["noise"]])
    x = np.concatenate([*shown.values(), 40 * shown["noise"]])
    whole, steps = in_integers(graph, rows[:, :99], tmp_path)
    found = whole.run({"features": x})[graph.outputs[0]]
    made = run_integers(graph, observe(graph, {"features": rows[:, :99]}), {"features": x})
    assert np.array_equal(found, made[graph.outputs[0]])
    for as_lists in (False, True):
        stepped = pieces(steps, x[1:2], graph, as_lists=as_lists)
        assert np.array_equal(stepped, found[1:2])


THUMB = ("-target", "thumb-linux-musleabihf", "-mcpu=cortex_m4+vfp4d16sp")
PROGRAM = Path(__file__).parent.parent / "convert" / "exporters" / "c_same_bits.c"


def thumb_program(model: Exportable, x: Any, scores: Any, folder: Path) -> Path:
    """Compile a stream's steps for a Cortex-M4, with what another machine made of it."""
    scheme = SCHEMES["full-int8"]
    written = write_model(model, scheme)
    files = {one.role: one.data for one in render(written, model, scheme)["companions"]}
    (folder / "model.c").write_bytes(files["source"])
    (folder / "model.h").write_bytes(files["header"])
    bytes_of_weights = ", ".join(map(str, written.weights))
    arrays = {"features": x, "expected": scores}
    (folder / "golden.h").write_text(
        f"enum {{ TIMESTEPS = {x.shape[1]}, FEATURES = {FEATURES}, UNITS = {scores.shape[2]} }};\n"
        + "".join(
            f"static const float {name}[] = {{{', '.join(float(v).hex() for v in a.flat)}}};\n"
            for name, a in arrays.items()
        )
        + f"static const _Alignas(64) unsigned char weights[] = {{{bytes_of_weights}}};\n"
    )
    compiler = [sys.executable, "-m", "ziglang", "cc", *THUMB, *FLAGS]
    # the number of a system call goes into what is else the frame pointer
    given = ["-fno-builtin", "-fno-sanitize=all", "-fomit-frame-pointer", "-c"]
    given += [f"-I{folder}", f"-I{PROGRAM.parent}"]
    objects = []
    for source in (PROGRAM, folder / "model.c"):
        objects.append(str(folder / f"{source.stem}.o"))
        run_compiler([*compiler, *given, str(source), "-o", objects[-1]])
    linked = ["-static", "-nostdlib", "-o", str(folder / "program"), *objects]
    run_compiler([*compiler, *linked])
    return folder / "program"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", ["gru", "chrono"])
def test_a_cortex_m4_gives_the_same_bits(kind: str, tmp_path: Path) -> None:
    emulator = shutil.which("qemu-arm")
    if emulator is None:
        pytest.skip("qemu-arm is not installed: apt-get install qemu-user")
    graph, x = slow_graph(kind, 5, 8), signals(200, 8)["noise"]
    backend, _ = in_integers(graph, x, tmp_path)
    scores = backend.run({"features": x})[graph.outputs[0]]
    codes = []
    for shift in (0, 1):  # the last bit of one score
        scores.view(np.int32)[0, 150, 2] += shift
        program = thumb_program(model_of(graph, x), x, scores, tmp_path)
        command = [emulator, "-cpu", "max", str(program)]
        codes.append(subprocess.run(command, check=False, timeout=120).returncode)
    assert codes == [0, 4]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", ["gru", "chrono"])
def test_a_stream_stays_within_a_hundredth_of_the_outputs_span(kind: str, tmp_path: Path) -> None:
    steps = 12_000
    graph = slow_graph(kind, 5, 61)
    x = np.concatenate([signals(steps, 61)[name] for name in ("constant", "bursts")])
    backend, _ = in_integers(graph, x[:, :2_000], tmp_path)
    found = backend.run({"features": x})[graph.outputs[0]]
    exact = ReferenceBackend(graph, dtype=np.float64).run({"features": x})[graph.outputs[0]]
    off = np.abs(found - exact).max(axis=(1, 2)) / np.ptp(exact, axis=(1, 2))
    assert (off > 1e-5).all() and (off < 0.01).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", ["gru", "chrono"])
def test_without_input_a_state_is_zero_after_twenty_time_constants(
    kind: str, tmp_path: Path
) -> None:
    graph = slow_graph(kind, 3, 7)
    (node,) = graph.nodes
    gates = 3 if kind == "gru" else 4
    bias = np.zeros((gates, 3))
    bias[0 if kind == "gru" else 1] = np.log(np.array(TAUS[:3]) - 1)
    zeros = {node.weights[role]: bias.reshape(-1) for role in ("bias",)}
    if kind == "gru":
        zeros = {node.weights["bias"]: np.stack([bias.reshape(-1), 0 * bias.reshape(-1)])}
    zeros[node.weights["kernel"]] = np.zeros((FEATURES, gates * 3))
    zeros[node.weights["recurrent_kernel"]] = np.zeros((3, gates * 3))
    graph = with_weights(graph, zeros)
    _, backend = in_integers(graph, np.ones((4, 99, FEATURES), np.float32), tmp_path)
    states = streaming_beside(graph, wanted=None).states  # type: ignore[union-attr]
    half = (1 << 28) if kind == "gru" else (1 << 15)
    for sign in (1, -1):
        words = {one.input: np.full((1, 3), 0, np.int32) for one in states}
        words[states[-1].input][:] = sign * half
        for unit, tau in enumerate(TAUS[:3]):
            x = np.zeros((1, int(20 * tau), FEATURES), np.float32)
            made = backend.run({"features": x, **words})
            assert made[states[-1].output][0, unit] == 0
            assert made[graph.outputs[0]][0, -1, unit] == 0


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("counter", {}, " has a time constant of 20,000 steps; 8-bit weights move its state by"),
        ("gru", {"recurrent_activation": "hard_sigmoid"}, "8-bit weights change it by"),
    ],
)
def test_units_that_integers_get_wrong_are_refused(
    kind: str, settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    graph = slow_graph(kind, 10, 61, **settings)
    rows = signals(200, 61)["noise"].reshape(-1, 50, FEATURES)
    with pytest.raises(Refused) as refused:
        in_integers(graph, rows, tmp_path)
    text = str(refused.value)
    assert said in text and "limit" in text and len(text) <= 300
    assert text.startswith("c full-int8: layer 'n0_") and "use --scheme dynamic-int8" in text


def test_a_refused_scheme_is_left_out_where_nobody_named_the_target(tmp_path: Path) -> None:
    graph = slow_graph("counter", 10, 61)
    rows = signals(200, 61)["noise"].reshape(-1, 50, FEATURES)
    model = model_of(graph, rows)
    told: list[str] = []
    both = [("onnx", SCHEMES["float32"]), ("c", SCHEMES["full-int8"])]
    with Worker(scratch=tmp_path) as worker:
        made = export_all(model, both, worker, optional=True, what_fits=True, progress=told.append)
        assert [(one.target, one.scheme.name) for one in made] == [("onnx", "float32")]
        assert any(one.startswith("leaving out c full-int8: ") for one in told)
        for chosen, what_fits in ((both, False), (both[1:], True)):
            with pytest.raises(Refused):
                export_all(
                    model,
                    chosen,
                    worker,
                    optional=True,
                    what_fits=what_fits,
                    progress=told.append,
                )
