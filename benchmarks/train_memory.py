"""Does training need memory for its rows? `python benchmarks/train_memory.py ROWS [--parquet]`.

Makes ROWS rows (16 timesteps of 10 features, one of 100 a copy) in a folder of `.npz` shards, or
of Parquet files whose windows they are. Trains one epoch on them in a process of its own, and
reads what the kernel says of each process. Linux only. Exits 1 if the memory of one, anonymous and
file pages together, ever passed 3 GB.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

TIMESTEPS, FEATURES = 16, 10
SHARD_ROWS = 250_000
COPIES = 100
"""One row of so many is a copy of the first of its shard's, or of another shard's."""
LIMIT_BYTES = 3 * 10**9
POLL_S = 0.1
SETTINGS = (
    *("--cell", "gru", "--units", "8", "--epochs", "1", "--batch-size", "2048"),
    *("--learning-rate", "0.01", "--dropout", "0"),
)


def main() -> int:
    """Make, train, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int)
    parser.add_argument("--parquet", action="store_true", help="rows of numbers, by --window 16")
    parser.add_argument("--folder", type=Path, help="where to put the rows; they stay there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        data = arguments.folder or Path(made) / "shards"
        make(data, arguments.rows, parquet=arguments.parquet)
        return train(data, Path(made) / "run", parquet=arguments.parquet)


def make(folder: Path, rows: int, *, parquet: bool) -> None:
    """Write shards of made rows whose label is whether a feature's sum is large."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, at in enumerate(range(0, rows, SHARD_ROWS)):
        path = folder / f"{number:05}.{'parquet' if parquet else 'npz'}"
        if path.exists():
            continue
        rng = np.random.default_rng(number)
        count = min(SHARD_ROWS, rows - at)
        x = rng.standard_normal((count, TIMESTEPS, FEATURES), np.float32)
        x[COPIES::COPIES] = np.random.default_rng(0).standard_normal(x.shape[1:], np.float32)
        y = (x[:, :, 0].sum(axis=1) > 0).astype(np.int8)
        if parquet:
            write_table(path, x, y, number)
        else:
            np.savez(path, x=x, y=y)


def write_table(path: Path, x: Any, y: Any, number: int) -> None:
    """Write rows as windows of recordings, a hundred in each, by row groups of 10 MB."""
    import pyarrow
    import pyarrow.parquet

    columns = {f"f{at}": x[:, :, at].ravel() for at in range(FEATURES)}
    of = number * SHARD_ROWS + np.repeat(np.arange(len(x)) // 100, TIMESTEPS)
    table = pyarrow.table({"of": of, **columns, "label": np.repeat(y, TIMESTEPS)})
    pyarrow.parquet.write_table(table, path, row_group_size=250_000)


def train(data: Path, out: Path, *, parquet: bool) -> int:
    """Train in a child, and print the largest memory of each process that it is or starts."""
    command = [sys.executable, "-m", "gatelet", "train", "--data", str(data), "--out", str(out)]
    began_s = time.monotonic()
    windows = ["--window", str(TIMESTEPS), "--group", "of"] if parquet else []
    child = subprocess.Popen([*command, *windows, *SETTINGS])
    peaks: dict[int, dict[str, int]] = {}
    while child.poll() is None:
        for process in _family(child.pid):
            found = peaks.setdefault(process, {})
            for key, value in _status(process).items():
                found[key] = max(found.get(key, 0), value)
        time.sleep(POLL_S)
    print(f"{time.monotonic() - began_s:.0f} s, exit code {child.returncode}")
    worst = 0
    for process, found in peaks.items():
        whole, anonymous, file = (found.get(k, 0) for k in ("VmHWM", "RssAnon", "RssFile"))
        worst = max(worst, whole)
        print(
            f"process {process}: most {whole / 1e9:.2f} GB; anonymous {anonymous / 1e9:.2f} GB, "
            f"file {file / 1e9:.2f} GB at most"
        )
    return int(child.returncode != 0 or not worst or worst > LIMIT_BYTES)


def _family(process: int) -> list[int]:
    """List a process and those that it started."""
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return [process]
    return [process, *(one for child in text.split() for one in _family(int(child)))]


def _status(process: int) -> dict[str, int]:
    """Return what the kernel counts of a process, in bytes."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    pairs = (
        line.split(":", 1) for line in lines if line.startswith(("VmHWM", "RssAnon", "RssFile"))
    )
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
