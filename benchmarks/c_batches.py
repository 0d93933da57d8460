"""Is a batch in C slower than at another commit? `python benchmarks/c_batches.py OLD NEW`.

Both commits are checked out into a temporary folder and compile the same models of padded texts;
their libraries then run the same 64 rows in turns, in one process. A round takes the least
disturbed of a few runs of each and gives a ratio; the median of the rounds is judged. Exits 1 where
NEW takes more than 1.02 of OLD for 64 rows.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gatelet.convert.exporters.c.source import KERNELS
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library

ROOT = Path(__file__).parent.parent
LARGEST_RATIO = 1.02
ROUNDS, RUNS = 9, 7
ROWS, TIMESTEPS, VOCABULARY, FEATURES = 64, 100, 2000, 64
MODELS = [
    (op, units, scheme)
    for op, units in (("LSTM", 64), ("LSTM", 128), ("GRU", 64))
    for scheme in ("float32", "dynamic-int8")
]
MAKE = """
import sys
from pathlib import Path
from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.host import host_platform
from tests.convert.exporters.onnx_graphs import GraphMaker
folder = Path(sys.argv[1])
for op, units, scheme in {models!r}:
    maker = GraphMaker(scale=0.1)
    ids = maker.input("ids", None, None, vocabulary={vocabulary})
    table = {{"embeddings": maker.weight({vocabulary}, {features})}}
    x = maker.one("Embedding", [ids], (None, None, {features}), weights=table)
    (h,) = maker.recurrence(op, [x], features={features}, units=units, return_sequences=False)
    y = maker.one("Dense", [h], (None, 1), weights={{"kernel": maker.weight(units, 1)}})
    graph = maker.finish(y)
    model = Exportable(graph, skip_padding(graph, timesteps={timesteps}), name="m")
    made = export_c(model, SCHEMES[scheme])
    role = f"library:{{host_platform()}}"
    (folder / f"{{op}}-{{units}}-{{scheme}}.bin").write_bytes(made.data)
    library = next(one.data for one in made.companions if one.role == role)
    (folder / f"{{op}}-{{units}}-{{scheme}}.so").write_bytes(library)
"""


def main() -> None:
    """Check out, compile, measure, print, judge."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[1],
        epilog="example: python benchmarks/c_batches.py main HEAD",
    )
    parser.add_argument("old", metavar="OLD", help="a commit")
    parser.add_argument("new", metavar="NEW", help="a commit")
    taken = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sides = [_compiled(commit, Path(folder) / name) for name, commit in vars(taken).items()]
        sys.exit(_judge(*sides))


def _compiled(commit: str, folder: Path) -> Path:
    """Return the folder of the libraries that a commit makes."""
    tree, made = folder / "tree", folder / "made"
    made.mkdir(parents=True)
    tree.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
    assert (tree / KERNELS.resolve().relative_to(ROOT)).is_dir()
    script = MAKE.format(
        models=MODELS, vocabulary=VOCABULARY, features=FEATURES, timesteps=TIMESTEPS
    )
    subprocess.run([sys.executable, "-c", script, made], cwd=tree, check=True)
    return made


def _rows(kind: str) -> np.ndarray:
    """Return padded ids: rows without padding, of all lengths, or short ones and a long one."""
    rng = np.random.default_rng(1)
    ids = rng.integers(1, VOCABULARY, (ROWS, TIMESTEPS)).astype(np.int32)
    lengths = {
        "full": np.full(ROWS, TIMESTEPS),
        "mixed": rng.integers(5, TIMESTEPS + 1, ROWS),
        "short": np.where(np.arange(ROWS) % 8, 10, TIMESTEPS),
    }[kind]
    ids[np.arange(TIMESTEPS) < TIMESTEPS - lengths[:, None]] = 0
    return ids


def _judge(old: Path, new: Path) -> int:
    beyond = 0
    print(f"{'64 rows, microseconds of processor time':44} {'old':>8} {'new':>8}  ratio")
    for op, units, scheme in MODELS:
        backends = [
            CBackend(open_library(one / f"{name}.so"), one / f"{name}.bin", engine="c")
            for name in [f"{op}-{units}-{scheme}"]
            for one in (old, new)
        ]
        for kind in ("full", "mixed", "short"):
            pairs = [_round(backends, _rows(kind), turn) for turn in range(ROUNDS)]
            before, after = (statistics.median(one) for one in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            beyond += ratio > LARGEST_RATIO
            mark = "  ABOVE THE LIMIT" if ratio > LARGEST_RATIO else ""
            name = f"{op}({units}) {scheme}, {kind} rows"
            print(f"{name:44} {before:8.0f} {after:8.0f} {ratio:6.3f}{mark}", flush=True)
    return int(beyond > 0)


def _round(backends: list[CBackend], rows: np.ndarray, turn: int) -> tuple[float, float]:
    """Return the shortest of some runs of each, in turns, either first in half of the rounds."""
    least = [float("inf")] * 2
    for _ in range(RUNS):
        for side in (0, 1) if turn % 2 else (1, 0):
            start = time.process_time_ns()
            backends[side].run({"ids": rows})
            least[side] = min(least[side], (time.process_time_ns() - start) / 1e3)
    return least[0], least[1]


if __name__ == "__main__":
    main()
