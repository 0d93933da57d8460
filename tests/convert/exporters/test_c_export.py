"""C artifacts: their files, their libraries, and what the runtime does with them."""

import ctypes
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.c.source import KERNELS
from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.targets import refusal
from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.parity.computes.inside_c import as_rows, step_through
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.tolerances import FLOAT32_FLOOR
from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime.backends import open_backend
from gatelet.runtime.backends.backend import Backend
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.graph.streaming import to_stream
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.conformance.c_builds import Build
from tests.convert.exporters.c_builds import STRICT, build, small_graph
from tests.convert.exporters.onnx_graphs import GraphMaker
from tests.convert.parity.computes.models import VOCABULARY, exportable
from tests.convert.parity.computes.models import model as stepped

TEXTS = ["a good film", "bad film", "good " * 20, "ΣΑΣ İ 👍", ""]
IDS = np.array([[0, 0, 0, 5, 7], [1, 2, 3, 4, 5], [0, 0, 0, 0, 0]], np.int32)


def model() -> Exportable:
    graph = small_graph()
    vectorizer = Vectorizer.fit(TEXTS, num_words=50, maxlen=5, oov_token="?")
    skipping = skip_padding(graph, timesteps=5)
    return Exportable(graph, skipping, vectorizer, name="Réviews 1!", labels=("0", "1"))


@pytest.fixture(scope="module")
def exported() -> Exported:
    return export_c(model(), SCHEMES["float32"])


@pytest.fixture
def files(exported: Exported, tmp_path: Path) -> dict[str, Path]:
    """Write the artifact's files as a bundle has them, by role."""
    found = {"weights": tmp_path / "weights.bin"}
    for one in exported.companions:
        found[one.role] = tmp_path / one.stored_name
        found[one.role].write_bytes(one.data)
    found["weights"].write_bytes(exported.data)
    return found


def companions(files: dict[str, Path], *leave_out: str) -> dict[str, Path]:
    return {role: path for role, path in files.items() if role not in ("weights", *leave_out)}


def expected(ids: object) -> np.ndarray:
    graph = small_graph()
    found: np.ndarray = ReferenceBackend(graph).run({"ids": ids})[graph.outputs[0]]
    return found


def run(backend: object, ids: object) -> np.ndarray:
    (found,) = backend.run({"ids": ids}).values()  # type: ignore[attr-defined]
    return np.asarray(found)


def test_the_same_model_gives_the_same_bytes(exported: Exported) -> None:
    assert export_c(model(), SCHEMES["float32"]) == exported


def test_every_level_gives_what_the_plain_path_gives(files: dict[str, Path]) -> None:
    library = files[f"library:{host_platform()}"]
    ids = np.random.default_rng(0).integers(0, 50, (70, 9)).astype(np.int32)
    plain = run(CBackend(open_library(library, level=1), files["weights"], engine="c"), ids)
    assert np.abs(plain - expected(ids)).max() < 1e-6
    best = run(CBackend(open_library(library), files["weights"], engine="c"), ids)
    assert np.abs(best - plain).max() < 1e-6
    with pytest.raises(BackendError, match="no code of level 9"):
        open_library(library, level=9)


@pytest.mark.parametrize(
    ("cell", "scheme"),
    [
        ("LSTM", "dynamic-int8"),
        ("GRU", "dynamic-int8"),
        ("LSTM", "dynamic-int8-rec16"),
        ("LSTM", "dynamic-int4-emb1"),
        ("GRU", "dynamic-int4-emb2"),
    ],
)
def test_every_level_steps_as_the_plain_path_does(
    cell: str, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, name = stepped((cell,)), "cell_0.recurrent_kernel"
    louder = 4 * array_of(graph.weights[name])  # so that one integer of a state counts
    weights = {**graph.weights, name: Tensor("F32", louder.shape, louder.tobytes())}
    graph = replace(graph, weights=weights)
    # without states of padding, which only a row's first steps take
    made = export_c(replace(exportable(graph), skipping=graph), SCHEMES[scheme])
    blob = tmp_path / "weights.bin"
    blob.write_bytes(made.data)
    paths = {one.role: tmp_path / one.stored_name for one in made.companions}
    for one in made.companions:
        paths[one.role].write_bytes(one.data)
    form = to_stream(graph)
    ids = np.random.default_rng(4).integers(0, VOCABULARY, (300, 12)).astype(np.int32)

    def open_level(level: str) -> Backend:
        monkeypatch.setenv("GATELET_LEVEL", level)
        return open_backend("c", blob, companions=paths, steps=True)

    plain = open_level("plain")
    taken = step_through(plain, graph, form.states, {"ids": ids})
    feed = as_rows(graph, form.graph, form.states, {"ids": ids}, taken).feed
    right = plain.run(feed)
    for level in ("v2", "v3", "v4"):
        # its instructions would end the process
        if not Build("gcc", "-O1", level).is_possible():
            continue
        found = open_level(level).run(feed)
        for state in form.states:  # behind them the products round again, ties to either side
            apart = difference(*(np.asarray(one[state.output]) for one in (found, right)))
            assert apart.max() <= FLOAT32_FLOOR, level


def test_a_level_can_be_asked_for(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = CBackend(
        open_library(files[f"library:{host_platform()}"], level=1), files["weights"], engine="c"
    )
    ids = np.random.default_rng(0).integers(0, 50, (70, 9)).astype(np.int32)
    monkeypatch.setenv("GATELET_LEVEL", "plain")
    asked = open_backend("c", files["weights"], companions=companions(files))
    assert (run(asked, ids) == run(plain, ids)).all()
    monkeypatch.setenv("GATELET_LEVEL", "v9")
    with pytest.raises(BackendError, match="'v9', expected one of plain, v2, v3, v4"):
        open_backend("c", files["weights"], companions=companions(files))


def test_lists_give_lists_and_arrays_of_any_layout_arrays(files: dict[str, Path]) -> None:
    backend = open_backend("c", files["weights"], companions=companions(files))
    found = backend.run({"ids": IDS.tolist()})["n3_activation"]
    assert isinstance(found, list)
    assert np.abs(np.array(found) - expected(IDS)).max() < 1e-6
    for ids in (IDS.astype(np.int64), np.asfortranarray(IDS), IDS[:, ::2], IDS[:1]):
        array = backend.run({"ids": ids})["n3_activation"]
        assert array.dtype == np.float32
        assert np.abs(array - expected(ids)).max() < 1e-6


def test_rows_of_a_batch_do_not_change_each_other(files: dict[str, Path]) -> None:
    backend = open_backend("c", files["weights"], companions=companions(files))
    rng = np.random.default_rng(1)
    ids = rng.integers(1, 50, (150, 12)).astype(np.int32)
    for row, length in enumerate(rng.integers(0, 13, 150)):
        ids[row, :length] = 0
    together = run(backend, ids)
    alone = np.concatenate([run(backend, ids[row : row + 1]) for row in range(150)])
    assert np.abs(together - alone).max() < 1e-6
    assert np.abs(together - expected(ids)).max() < 1e-6


def test_threads_have_memory_of_their_own(files: dict[str, Path]) -> None:
    backend = open_backend("c", files["weights"], companions=companions(files))
    wrong = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(50):
            ids = rng.integers(0, 50, (rng.integers(1, 9), rng.integers(1, 20))).astype(np.int32)
            if np.abs(run(backend, ids) - expected(ids)).max() > 1e-6:
                wrong.append(ids)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_ids_and_sizes_are_checked_in_c_too(files: dict[str, Path]) -> None:
    backend = open_backend("c", files["weights"], companions=companions(files))
    for bad in (50, -1, 2**31 - 1):
        with pytest.raises(BackendError, match="an id is outside the vocabulary"):
            backend.run({"ids": [[1, bad]]})
    with pytest.raises(BackendError, match="a size out of range"):
        backend.run({"ids": np.zeros((1, 0), np.int32)})


def test_other_weights_are_refused(files: dict[str, Path]) -> None:
    data = files["weights"].read_bytes()
    for damaged in (data[:-64], bytes(len(data)), data[:10] + b"x" + data[11:]):
        files["weights"].write_bytes(damaged)
        with pytest.raises(BackendError, match="do not belong to the library"):
            open_backend("c", files["weights"], companions=companions(files))


def test_without_a_library_the_source_is_compiled_once(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", "env LC_ALL=C cc")  # several words, as make takes them
    given = companions(files, f"library:{host_platform()}")
    assert np.abs(run(open_backend("c", files["weights"], companions=given), IDS)).max() > 0
    (made,) = (tmp_path / "cache" / "gatelet").iterdir()
    before = made.stat().st_mtime_ns
    again = open_backend("c", files["weights"], companions=given)
    assert np.abs(run(again, IDS) - expected(IDS)).max() < 1e-6
    assert made.stat().st_mtime_ns == before


def test_without_a_compiler_it_says_so(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", "no-such-compiler")
    given = companions(files, f"library:{host_platform()}")
    said = "no library for this machine, and no C compiler that is called 'no-such-compiler', as CC"
    with pytest.raises(BackendMissing, match=said):
        open_backend("c", files["weights"], companions=given)


def test_a_compiler_that_does_not_end_is_named(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("gatelet.runtime.backends.c.compiler._TIMEOUT_S", 0.01)
    program = tmp_path / "cc"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("CC", str(program))
    given = companions(files, f"library:{host_platform()}")
    with pytest.raises(BackendError, match="cc' did not end within"):
        open_backend("c", files["weights"], companions=given)
    assert list((tmp_path / "cache" / "gatelet").iterdir()) == []


def test_the_example_predicts_what_python_predicts(files: dict[str, Path], tmp_path: Path) -> None:
    program = tmp_path / "program"
    # at -O2 gcc follows constants into the kernels, and warns of more
    command = ["cc", "-std=c11", *STRICT, "-O2", "-o", str(program), str(files["example"])]
    subprocess.run([*command, str(files["source"])], check=True, cwd=tmp_path)
    text = files["example"].read_text()
    stored = next(word for word in text.split('"') if word.startswith("c-float32-"))
    # the bundle names the weights as the example expects
    weights = next(word for word in text.split('"') if word.endswith(".bin") and "voc" not in word)
    files["weights"].rename(tmp_path / weights)
    assert stored
    done = subprocess.run(
        [str(program), *TEXTS], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    vectorizer = model().vectorizer
    assert vectorizer is not None
    scores = expected(np.array([vectorizer.pad(text) for text in TEXTS]))[:, 0]
    found = [float(line.split()[0]) for line in done.stdout.splitlines()]
    assert np.abs(np.array(found) - scores).max() < 2e-6


def test_the_header_is_c_plus_plus_and_declares_the_arrays_of_weights_and_vocabulary(
    files: dict[str, Path], exported: Exported, tmp_path: Path
) -> None:
    if shutil.which("g++") is None:
        pytest.skip("there is no C++ compiler here")
    program = tmp_path / "main.cc"
    (tmp_path / f"c-float32-{_digest(exported)}.bin").write_bytes(exported.data)
    program.write_text(
        f'#include "{files["header"].name}"\n'
        'int main() { static_assert(RVIEWS_1_SCRATCH_BYTES(1, 5) > 0, "a constant");\n'
        "float score; alignas(64) static char scratch[RVIEWS_1_TEXT_SCRATCH_BYTES];\n"
        "const void *weights = rviews_1_weights, *vocabulary = rviews_1_vocabulary;\n"
        "return rviews_1_check(weights, RVIEWS_1_WEIGHTS_BYTES) ||\n"
        'rviews_1_predict_text(weights, vocabulary, "a", 1, &score, scratch); }\n'
    )
    subprocess.run(["cc", "-c", "-O1", files["source"].name, "-o", "m.o"], check=True, cwd=tmp_path)
    subprocess.run(["cc", "-c", files["array"].name, "-o", "w.o"], check=True, cwd=tmp_path)
    given = [*STRICT, str(program), "m.o", "w.o", "-o", "main"]
    subprocess.run(["g++", *given], check=True, cwd=tmp_path)
    assert subprocess.run([str(tmp_path / "main")], check=False).returncode == 0


def _digest(exported: Exported) -> str:
    import hashlib

    return hashlib.sha256(exported.data).hexdigest()[:12]


@pytest.mark.parametrize("kernel", sorted(path.name for path in KERNELS.glob("*.c")))
def test_each_kernel_compiles_by_itself(kernel: str, tmp_path: Path) -> None:
    command = ["gcc", "-std=c11", *STRICT, "-O0", "-c", str(KERNELS / kernel)]
    subprocess.run([*command, "-o", str(tmp_path / "kernel.o")], check=True)


def test_the_lstm_kernel_is_short_and_opens_with_its_equations() -> None:
    text = (KERNELS / "lstm.c").read_text()
    assert len(text.splitlines()) <= 300
    assert "c' = f c + i g" in text[:600] and "Hochreiter & Schmidhuber 1997" in text[:800]


def test_schemes_are_smaller_and_close(tmp_path: Path) -> None:
    graph = small_graph(vocabulary=400, units=40)
    given = Exportable(graph, graph, name="m")
    ids = np.random.default_rng(2).integers(0, 400, (40, 12)).astype(np.int32)
    exact = ReferenceBackend(graph).run({"ids": ids})[graph.outputs[0]]
    sizes, errors = [], []
    for scheme in ("float32", "dynamic-int8", "dynamic-int8-emb4"):
        (tmp_path / scheme).mkdir()
        written, library = build(given, tmp_path / scheme, scheme=scheme)
        weights = tmp_path / scheme / "w.bin"
        weights.write_bytes(written.weights)
        found = run(CBackend(open_library(library), weights, engine="c"), ids)
        sizes.append(len(written.weights))
        errors.append(float(np.abs(found - exact).max()))
    assert sizes[1] < 0.45 * sizes[0] and sizes[2] < 0.95 * sizes[1]
    assert errors[0] < 1e-6 and 1e-6 < errors[1] < 0.05 and errors[1] < errors[2] < 0.4


def test_without_numpy_ids_give_scores(files: dict[str, Path]) -> None:
    script = (
        "import sys; sys.modules['numpy'] = None\n"
        "from pathlib import Path\n"
        "from gatelet.runtime.backends import open_backend\n"
        "roles = dict(part.split('=', 1) for part in sys.argv[2:])\n"
        "given = {role: Path(path) for role, path in roles.items()}\n"
        "backend = open_backend('c', Path(sys.argv[1]), companions=given)\n"
        "print(backend.run({'ids': [[0, 0, 0, 5, 7]]})['n3_activation'][0][0])\n"
    )
    roles = [f"{role}={path}" for role, path in companions(files).items()]
    done = subprocess.run(
        [sys.executable, "-c", script, str(files["weights"]), *roles],
        check=True,
        capture_output=True,
        text=True,
    )
    assert float(done.stdout) == pytest.approx(float(expected(IDS)[0, 0]), abs=1e-6)


def test_scratch_is_what_the_header_says(files: dict[str, Path]) -> None:
    library = open_library(files[f"library:{host_platform()}"])
    sizes = (ctypes.c_int32 * 1)(5)
    one, many = (library.scratch_bytes(rows, sizes) for rows in (1, 8))
    assert 0 < one < many == library.scratch_bytes(1000, sizes)


def test_glu_over_an_axis_of_open_size_is_refused_before_the_export() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, 4)
    graph = maker.finish(maker.one("Activation", [x], (None, None, 4), activation="glu", axis=1))
    assert refusal(graph, "c", SCHEMES["float32"]).endswith(
        "c has no glu over an axis of open size: leave it out with --target"
    )
    assert refusal(graph, "onnx", SCHEMES["float32"]) == ""
