"""Data larger than memory: the same rows, parts and figures, read a fragment at a time."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.errors import DataError
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.run import Run, sha256_of_rows
from gatelet.train import TrainConfig, fit, prepare, train
from gatelet.train.checkpoints import checkpoint_of, save_checkpoint
from gatelet.train.inputs import fragments, read_given
from gatelet.train.inputs.copies import without_copies
from gatelet.train.inputs.fragments import Fragment, Stored
from gatelet.train.model import Network
from gatelet.train.progress import Progress

ROWS, STEPS, FEATURES = 2000, 6, 3
ROW_BYTES = 4 * STEPS * FEATURES
SMALL = {"units": 4, "epochs": 2, "learning_rate": 0.02, "batch_size": 32, "dropout": 0}


def made(*, rows: int = ROWS, seed: int = 0) -> dict[str, Any]:
    """Return features with copies and contradictions, and labels that a tiny network learns."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, STEPS, FEATURES), np.float32)
    y = np.array(["down", "up"])[(x[:, :, 0].sum(axis=1) > 0).astype(int)]
    x[1::50], y[1::50] = x[::50], y[::50]
    x[2::200], y[2::200] = x[::200], np.where(y[::200] == "up", "down", "up")
    return {"x": x, "y": y, "group": np.arange(rows) // 40}


def write_shards(folder: Path, whole: dict[str, Any], *, rows: int = 500) -> Path:
    """Write all but the group into files of so many rows, every second one compressed."""
    folder.mkdir()
    for number, at in enumerate(range(0, len(whole["x"]), rows)):
        write = np.savez_compressed if number % 2 else np.savez
        part = {name: whole[name][at : at + rows] for name in ("x", "y")}
        write(folder / f"{number:02}.npz", **part)
    return folder


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave all features on disk, in fragments of 100 rows, of which five fit into memory."""
    monkeypatch.setattr(fragments, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(fragments, "FRAGMENT_BYTES", 100 * ROW_BYTES)
    monkeypatch.setattr(fragments, "POOL_BYTES", 500 * ROW_BYTES)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the bytes that all caches together hold, after each fragment that is asked for."""
    found: list[int] = []
    caches: dict[int, Any] = {}
    read = fragments._Cache.read

    def watched(cache: Any, number: int) -> Any:
        caches[id(cache)] = cache
        rows = read(cache, number)
        found.append(sum(one.nbytes for each in caches.values() for one in each._read.values()))
        return rows

    monkeypatch.setattr(fragments._Cache, "read", watched)
    return found


def config(data: Path, out: str = "run", **settings: Any) -> TrainConfig:
    given = {**SMALL, "data": data, "out": data.parent / out, **settings}
    return TrainConfig.resolve(overrides=given)


def weights_of(run: Run) -> list[Any]:
    return Network.load(run.model_path).weights()


def are_equal(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.ci  # trains
def test_what_fits_into_one_pool_gives_the_weights_of_memory_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "d.npz", **made())
    in_memory = train(config(tmp_path / "d.npz"))
    monkeypatch.setattr(fragments, "IN_MEMORY_BYTES", 0)
    read = read_given(config(tmp_path / "d.npz")).rows
    assert isinstance(read, Arrays) and isinstance(read.inputs[0], Stored)
    run = train(config(tmp_path / "d.npz", "other"))
    assert are_equal(weights_of(run), weights_of(in_memory))
    for name in ("metrics.json", "test.npz", "calibration.npz", "history.json"):
        assert (run.path / name).read_bytes() == (in_memory.path / name).read_bytes()


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("group", [None, "group"])
def test_fragments_have_the_rows_and_parts_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str | None
) -> None:
    whole = made()
    kept = whole if group else {name: whole[name] for name in ("x", "y")}
    np.savez(tmp_path / "d.npz", **kept)
    found = prepare.prepare(config(tmp_path / "d.npz", group=group))
    monkeypatch.setattr(fragments, "IN_MEMORY_BYTES", 10**9)
    expected = prepare.prepare(config(tmp_path / "d.npz", group=group))
    assert found.source == expected.source
    assert found.source["dropped"] == {"duplicates": 30, "contradictory": 30}
    for name in ("train", "validation", "test"):
        one, other = getattr(found.parts, name), getattr(expected.parts, name)
        assert isinstance(one.inputs[0], Stored) and len(one) > 100
        assert np.array_equal(one.inputs[0][:], other.inputs[0])
        assert np.array_equal(found.targets(one), expected.targets(other))
    assert found.features and expected.features
    for key in ("mean", "variance"):
        a, b = getattr(found.features, key), getattr(expected.features, key)
        assert np.allclose(a, b, rtol=1e-12)


@pytest.mark.usefixtures("on_disk")
def test_a_folder_of_shards_is_one_file_of_which_a_pool_is_read(
    tmp_path: Path, held: list[int]
) -> None:
    whole = made()
    folder = write_shards(tmp_path / "shards", whole)
    (folder / "README.md").write_text("not data")
    given = read_given(config(folder)).rows
    assert isinstance(given, Arrays) and isinstance(given.inputs[0], Stored)
    assert [one.rows for one in given.inputs[0].fragments] == [100] * 5 + [500] + [100] * 5 + [500]
    expected = Arrays((whole["x"],), whole["y"], "whole")
    assert sha256_of_rows(given) == sha256_of_rows(expected)
    assert max(held) == fragments.POOL_BYTES


def test_a_small_folder_of_shards_is_read_into_memory(tmp_path: Path) -> None:
    whole = made()
    given = read_given(config(write_shards(tmp_path / "shards", whole))).rows
    assert isinstance(given, Arrays)
    assert isinstance(given.inputs[0], np.ndarray)
    assert np.array_equal(given.inputs[0], whole["x"])


@pytest.mark.usefixtures("on_disk")
def test_an_epoch_takes_each_row_once_and_never_holds_more_than_a_pool(
    tmp_path: Path, held: list[int]
) -> None:
    np.savez(tmp_path / "d.npz", x=made()["x"], y=made()["y"])
    rows = read_given(config(tmp_path / "d.npz")).rows
    assert isinstance(rows, Arrays)
    opened: list[Fragment] = []

    def reading(one: Fragment) -> Fragment:
        def read() -> Any:
            opened.append(one)
            return one.read()

        return Fragment(one.rows, read)

    whole: Any = rows.inputs[0]
    stored = Stored([*map(reading, whole.fragments)], (STEPS, FEATURES))
    stored = stored.take(np.arange(0, ROWS, 3))
    orders = [stored.shuffled(np.random.default_rng((1, epoch))) for epoch in (1, 2, 1)]
    assert np.array_equal(orders[0], orders[2]) and not np.array_equal(orders[0], orders[1])
    for order in orders[:2]:
        opened.clear()
        assert sorted(order.tolist()) == list(range(len(stored)))
        taken = [stored[order[at : at + 32]] for at in range(0, len(order), 32)]
        assert np.array_equal(np.concatenate(taken), made()["x"][::3][order])
        some_at_hand = fragments.POOL_BYTES // fragments.FRAGMENT_BYTES
        assert 0 <= len(stored.fragments) - len(opened) <= some_at_hand  # each is read once
    assert max(held) == fragments.POOL_BYTES
    # neighbours in the file are no neighbours in a batch
    assert np.unique(orders[0][:32] * 3 // 100).size > 3


@pytest.mark.ci  # trains
@pytest.mark.usefixtures("on_disk")
def test_a_training_by_fragments_learns_and_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_shards(tmp_path / "shards", made())
    settings: dict[str, Any] = {"epochs": 3, "averaging": 0.1}
    run = train(config(folder, **settings))
    assert json.loads((run.path / "metrics.json").read_bytes())["accuracy"] > 0.8
    kept = save_checkpoint

    def stop(path: Path, checkpoint: Any, recipe: Any) -> None:
        kept(path, checkpoint, recipe)
        raise RuntimeError("stopped")

    monkeypatch.setattr(fit, "save_checkpoint", stop)
    stopped = config(folder, "stopped", **settings)
    with pytest.raises(RuntimeError):
        train(stopped)
    monkeypatch.setattr(fit, "save_checkpoint", kept)
    assert checkpoint_of(stopped.out).is_file()
    finished: list[int] = []
    monkeypatch.setattr(Progress, "step", lambda self, done: finished.append(self.finished))
    assert are_equal(weights_of(train(stopped, resume=True)), weights_of(run))
    assert sorted(set(finished)) == [1, 2]  # of which the time left is told


@pytest.mark.ci  # trains
@pytest.mark.usefixtures("on_disk")
def test_a_run_keeps_rows_of_a_large_test_part_and_its_figures_are_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prepare, "KEPT_BYTES", 50 * ROW_BYTES)
    folder = write_shards(tmp_path / "shards", made())
    run = train(config(folder, epochs=1))
    count = json.loads((run.path / "metrics.json").read_bytes())["rows"]
    kept = len(run.test_rows())
    assert 25 <= kept <= 50 < count
    data = run.provenance["data"]
    assert isinstance(data, dict)
    assert (data["rows"]["test"], data["test_rows_kept"]) == (count, kept)
    assert f"test {count} ({kept} of them kept in the run) rows" in capsys.readouterr().err
    for path, rows in ((run.test_path, kept), (folder, ROWS)):
        assert main(["evaluate", str(run.path), "--data", str(path)]) == 0
        assert re.search(rf"float32 +{rows:,} ", capsys.readouterr().out)


@pytest.mark.ci  # trains
@pytest.mark.usefixtures("on_disk")
def test_folds_are_of_all_rows_on_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from gatelet.train.folds import cross_validate

    whole = made(rows=600)
    np.savez(tmp_path / "d.npz", x=whole["x"], y=whole["y"])
    folds = cross_validate(config(tmp_path / "d.npz", epochs=1, folds=3)).to_dict()
    assert len(folds["accuracy"]["folds"]) == 3


@pytest.mark.parametrize("seed", range(3))
def test_copies_are_those_that_a_dictionary_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (300, 2, 2)).astype(np.float32) * rng.choice([-1, 1], (300, 1, 1))
    y = rng.integers(0, 2, 300)
    y[::2] = 0
    labels: dict[bytes, set[int]] = {}
    first: dict[bytes, int] = {}
    for row in range(300):
        key = (x[row] + 0).tobytes()
        labels.setdefault(key, set()).add(int(y[row]))
        first.setdefault(key, row)
    places = [row for key, row in first.items() if len(labels[key]) == 1]
    against = sum(len(labels[(row + 0).tobytes()]) > 1 for row in x)
    kept, _, dropped = without_copies(Arrays((x,), y, "made"), None, labelled=True)
    assert isinstance(kept, Arrays) and against
    assert np.array_equal(kept.inputs[0], x[places])
    assert kept.targets is not None and np.array_equal(kept.targets, y[places])
    expected = {"duplicates": 300 - len(places) - against, "contradictory": against}
    assert dropped == expected


LONG = np.ones((250, STEPS, FEATURES))
BAD_SHARDS: dict[str, tuple[dict[str, Any], str]] = {
    "other features": (
        {"x": np.zeros((9, STEPS, FEATURES + 1))},
        r"01.npz' has numbers 'x' \[N, 6, 4\], text 'y' \[N\], and .*00.npz' numbers 'x' "
        r"\[N, 6, 3\], .* must be alike",
    ),
    "other answers": ({"y": np.zeros(9)}, r"numbers 'y' \[N\], and .*text 'y' \[N\]"),
    "NaN": (
        {"x": np.where(np.arange(9)[:, None, None] == 7, np.nan, np.ones((9, STEPS, FEATURES)))},
        r"01.npz': 'x' is nan in row 7, timestep 0, feature 0",
    ),
    "NaN in another fragment": (
        {"x": np.where(np.arange(250)[:, None, None] == 207, np.nan, LONG), "y": np.full(250, "u")},
        r"01.npz': 'x' is nan in row 207, timestep 0, feature 0",
    ),
    "too large": ({"x": np.full((9, STEPS, FEATURES), 1e39)}, "01.npz': 'x' is .* in row 0"),
    "a table": ({"x": np.zeros((9, 4))}, r"01.npz': the features are \[9, 4\], expected one"),
    "texts": ({"x": np.full((9, STEPS, FEATURES), "a")}, "01.npz': 'x' holds <U1, expected numbe"),
    "no timestep": ({"x": np.zeros((9, 0, 3))}, r"'x' is \[9, 0, 3\], so a row holds no number"),
    "no y": ({"y": None}, "01.npz' has no array 'y'"),
    "fewer y": ({"y": np.full(8, "up")}, "01.npz': the arrays have different numbers of rows"),
    "no x": ({"x": None}, "01.npz' has no array 'x'"),
}


@pytest.mark.parametrize("memory", ["in memory", "on disk"])
@pytest.mark.parametrize("kind", BAD_SHARDS)
def test_bad_shards_are_refused_in_one_sentence(
    tmp_path: Path, kind: str, memory: str, request: pytest.FixtureRequest
) -> None:
    if memory == "on disk":
        request.getfixturevalue("on_disk")
    changed, said = BAD_SHARDS[kind]
    folder = write_shards(tmp_path / "shards", made(rows=500))
    given = {"x": np.zeros((9, STEPS, FEATURES)), "y": np.full(9, "up"), **changed}
    kept = {name: one for name, one in given.items() if one is not None}
    np.savez(folder / "01.npz", **kept)
    with pytest.raises(DataError) as caught:
        prepare.prepare(config(folder))
    assert re.search(said, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("name", ["00.npz", "01.npz"])
def test_a_shard_that_goes_away_is_told(tmp_path: Path, name: str) -> None:
    folder = write_shards(tmp_path / "shards", made())
    rows = read_given(config(folder)).rows
    assert isinstance(rows, Arrays)
    (folder / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=rf"{name}' cannot be read any more .*leave the data"):
        rows.inputs[0][:]


def test_fragments_larger_than_a_pool_are_held_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fragments, "POOL_BYTES", 8)
    whole = np.arange(12, dtype=np.float32).reshape(6, 2, 1)
    parts = [Fragment(2, partial(whole.__getitem__, slice(at, at + 2))) for at in (0, 2, 4)]
    stored = Stored(parts, (2, 1))
    order = stored.shuffled(np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(6))
    assert np.array_equal(stored[order], whole[order])
    assert len(stored._cache._read) == 1
