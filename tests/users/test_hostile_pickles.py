"""A pickle runs no code here, and takes no memory that a tokenizer would not."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from gatelet.convert.reading import pickles
from gatelet.convert.reading.pickle_source import MAX_FILE_BYTES
from gatelet.convert.reading.pickles import read_pickle
from gatelet.errors import ModelError
from tests.users.hostile_pickles import HOSTILE, MARKER

LIMIT_MB = 200
READ_ALL = """
import json, sys
from pathlib import Path
from gatelet.convert.reading.pickles import read_pickle
from gatelet.errors import ModelError

def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024

for path in sorted(Path(".").glob("*.pkl")):
    try:
        said = f"read: {read_pickle(path)!r}"
    except ModelError as error:
        said = str(error)
    print(json.dumps([path.stem, said, peak_mb()]), flush=True)
"""


@pytest.mark.ci  # 8 s of processor time
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_hostile_pickles_run_nothing_and_take_little(tmp_path: Path) -> None:
    for name, (data, _) in HOSTILE.items():
        (tmp_path / f"{name}.pkl").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    found = {name: (said, peak) for name, said, peak in map(json.loads, done.stdout.splitlines())}
    assert len(found) == len(HOSTILE) >= 30
    for name, (_, part) in HOSTILE.items():
        said, peak_mb = found[name]
        assert part in said, (name, said)
        assert said.startswith(f"the pickle '{name}.pkl' is not read: "), said
        assert peak_mb < LIMIT_MB, (name, peak_mb)
    assert not (tmp_path / MARKER).exists()


def test_a_file_above_the_limit_is_not_opened_further(tmp_path: Path) -> None:
    path = tmp_path / "large.pkl"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ModelError, match="it has 268,435,457 bytes: at most 268,435,456 are"):
        read_pickle(path)


def test_opcodes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "MAX_OPCODES", 100)
    (tmp_path / "long.pkl").write_bytes(b"N0" * 51 + b"N.")
    with pytest.raises(ModelError, match="it has more than 100 opcodes"):
        read_pickle(tmp_path / "long.pkl")
    (tmp_path / "short.pkl").write_bytes(b"N0" * 49 + b"N.")
    assert read_pickle(tmp_path / "short.pkl") is None


def test_the_stock_reader_would_have_run_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(HOSTILE["system"][0])
    assert (tmp_path / MARKER).exists()
