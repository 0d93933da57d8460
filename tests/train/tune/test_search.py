"""The search itself, on trials that a function of their settings stands for: nothing is trained.

Killed anywhere, a study ends with the trials of one that nothing stopped.
"""

import errno
import json
import math
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import ConfigError, DataError, GateletError, OutputError, TrainingError
from gatelet.runtime import files
from gatelet.train import TrainConfig
from gatelet.train.epochs import Epoch
from gatelet.train.tune import folder as folder_module
from gatelet.train.tune import search as search_module
from gatelet.train.tune.config import TuneConfig
from gatelet.train.tune.front import Finished, better_one
from gatelet.train.tune.results import Result
from gatelet.train.tune.search import tune
from gatelet.train.tune.space import space_of
from gatelet.train.tune.trial import Outcome, Task

SPACE = {
    "cell": ["lstm", "gru"],
    "units": {"low": 2, "high": 32, "log": True},
    "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "maxlen": [8, 12],
}

BASE: dict[str, Any] = {"units": 32, "maxlen": 12, "vocabulary": 60, "baseline": False}

Tuned = Callable[..., Result]

pytestmark = pytest.mark.ci


class Killed(BaseException):
    """Stands for a signal that ends the process."""


class Weights:
    """Stands for a network: it has the weights that were kept of a trial."""

    def __init__(self) -> None:
        self.restored: list[Any] = []

    def restore(self, weights: list[Any]) -> None:
        self.restored = weights


def outcome(task: Task) -> Outcome:
    """Return what a trial of these settings gives, and gives again."""
    units, rate = task.config.units, task.config.learning_rate
    end = 0.6 + 0.05 * math.log2(units) - 0.05 * abs(math.log10(rate) + 2)
    losses = [0.9 - end / 2 * share for share in (0.5, 0.8, 1.0)]
    epochs: list[Epoch] = []
    for loss in losses:
        epochs.append(Epoch(loss=loss, accuracy=end, val_loss=loss, val_accuracy=1 - loss))
        better = better_one(epochs, task.cost, task.finished, measure=task.measure)
        if better is not None:
            found = Finished(
                task.number, task.cost, task.bytes, tuple(epochs), len(epochs), better.number
            )
            return Outcome(found, None, 0.0)
    found = Finished(task.number, task.cost, task.bytes, tuple(epochs), len(epochs))
    return Outcome(found, [np.full(3, float(task.number), np.float32)], 0.0)


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory, write_reviews: Callable[..., Path]) -> Path:
    return write_reviews(tmp_path_factory.mktemp("tune") / "reviews.csv", rows=160)


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch, rows: Path, tmp_path: Path) -> Iterator[Tuned]:
    """Return a function that searches, and may be killed when a trial of a number begins."""
    judged: list[tuple[str, int]] = []

    def write_run(config: TrainConfig, prepared: Any, network: Weights, *_: object) -> None:
        judged.append((config.out.parent.name, int(network.restored[0][0])))
        assert len(prepared.parts.test) > 0
        config.out.mkdir(exist_ok=True)
        kept = {name: one for name, one in config.to_dict().items() if name != "out"}
        stored = {
            "format": "gatelet-run",
            "format_version": 1,
            "labels": list(prepared.labels),
            "task": "binary",
            "threshold": 0.5,
            "provenance": {"config": kept, "data": prepared.source},
        }
        (config.out / "run.json").write_text(json.dumps(stored), "utf-8")
        (config.out / "metrics.json").write_text('{"accuracy": 0.75, "rows": 4}', "utf-8")
        for name in ("model.keras", "vectorizer.json"):
            (config.out / name).write_text("", "utf-8")

    monkeypatch.setattr(search_module, "new_network", lambda config, prepared: Weights())
    monkeypatch.setattr(search_module, "write_run", write_run)

    def search(
        *, killed_at: int | None = None, name: str = "study", data: Path = rows, **given: Any
    ) -> Result:
        def run(task: Task, prepared: Any, **_: object) -> Outcome:
            assert len(prepared.parts.test) == 0, "a trial sees no test part"
            if task.number == killed_at:
                raise Killed
            return outcome(task)

        monkeypatch.setattr(search_module, "run_trial", run)
        out = tmp_path / name
        settings = {"space": SPACE, "trials": 12, **given}
        space = space_of(settings.pop("space"))
        base = settings.pop("base", {})
        config = TrainConfig(out=out / "run", data=data, **{**BASE, **base})
        result = tune(TuneConfig(base=config, out=out, space=space, **settings))
        chosen = (name, result.chosen.trial.number)
        assert judged.count(chosen) == 1, "the test part is judged once"
        return result

    yield search


def told(result: Result) -> list[dict[str, Any]]:
    return [result.to_dict(one) for one in result.points]


def test_the_recipe_is_trial_0_and_each_trial_has_its_own_seed(tuned: Tuned) -> None:
    result = tuned(base={"seed": 5})

    assert [one.trial.number for one in result.points] == list(range(12))
    first = result.points[0].settings
    assert (first.units, first.cell, first.learning_rate, first.seed) == (32, "lstm", 3e-3, 5)
    assert [one.settings.seed for one in result.points] == list(range(5, 17))
    assert len({json.dumps(result.varied(one)) for one in result.points}) == 12


def test_the_first_trial_is_that_recipe_where_the_space_does_not_hold_it(tuned: Tuned) -> None:
    result = tuned(trials=3, base={"units": 40})

    assert result.points[0].settings.units == 40


@pytest.mark.parametrize("at", [(0, 1), (3, 3), (1, 11), (5, 9)])
def test_a_study_killed_twice_ends_as_one_that_nothing_stopped(
    tuned: Tuned, at: tuple[int, int]
) -> None:
    whole = tuned(name="whole")
    for number in at:
        with pytest.raises(Killed):
            tuned(killed_at=number)

    result = tuned()

    assert told(result) == told(whole)
    files, others = (
        {path.relative_to(one.config.out) for path in one.config.out.rglob("*")}
        for one in (result, whole)
    )
    assert files == others
    weights = {path.stem for path in (result.config.out / "trials").glob("*.npz")}
    assert weights == {f"{one.trial.number:04}" for one in result.points if one.on_front}


@pytest.mark.parametrize("left", [b'{"op_code": 4, "worker', b"{}", b"\0\0\0"])
def test_a_line_that_a_kill_left_unfinished_is_cut_off(tuned: Tuned, left: bytes) -> None:
    whole = tuned(name="whole")
    with pytest.raises(Killed):
        tuned(killed_at=4, name="study")
    journal = whole.config.out.with_name("study") / "study.journal"
    journal.write_bytes(journal.read_bytes() + left)

    assert told(tuned()) == told(whole)


def test_a_complete_study_is_shown_again_and_more_trials_can_follow(tuned: Tuned) -> None:
    first = tuned(trials=5)
    again = tuned(trials=5, killed_at=5)
    more = tuned(trials=8)

    assert told(again) == told(first)
    assert told(more)[:5] != [] and len(more.points) == 8
    assert [one.trial for one in more.points[:5]] == [one.trial for one in first.points]


def test_no_trial_but_the_recipes_is_larger_than_the_budget(tuned: Tuned) -> None:
    free = tuned(name="free")
    budget = sorted(one.trial.bytes for one in free.points)[4]

    result = tuned(budget_bytes=budget)

    assert result.points[0].trial.bytes > budget
    assert all(one.trial.bytes <= budget for one in result.points[1:])
    assert result.chosen.trial.bytes <= budget
    within = [one for one in result.points[1:] if one.state == "complete"]
    best = max(one.trial.quality("accuracy") for one in within)
    assert result.chosen.trial.quality("accuracy") == best


def test_a_budget_that_nothing_fits_is_refused_with_the_smallest(tuned: Tuned) -> None:
    with pytest.raises(ConfigError, match=r"at most 200 bytes: the smallest .* has [\d,]+; raise"):
        tuned(budget_bytes=200)


def test_multiply_adds_can_be_what_counts(tuned: Tuned) -> None:
    result = tuned(against="macs")

    assert all(one.trial.cost == one.macs for one in result.points)


def test_latency_is_measured_before_a_trial(tuned: Tuned) -> None:
    def latency(network: object, prepared: Any, config: TrainConfig) -> float:
        return 10.0 * config.units

    result = tuned(against="latency", latency=latency)

    assert all(one.trial.cost == 10 * one.settings.units for one in result.points)


def test_a_small_space_is_tried_again_with_other_seeds(tuned: Tuned) -> None:
    result = tuned(space={"cell": ["lstm", "gru"]}, trials=5)

    assert {one.settings.cell for one in result.points[:2]} == {"lstm", "gru"}
    assert len(result.points) == 5


def test_what_excludes_each_other_is_not_proposed(tuned: Tuned) -> None:
    space = {"mask_zero": [True, False], "pooling": ["max", "last"], "units": {"low": 2, "high": 9}}

    result = tuned(space=space)

    assert len(result.points) == 12
    assert not any(one.settings.mask_zero and one.settings.conv for one in result.points)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"space": {**SPACE, "units": [2, 4]}}, ["the space's 'units' was", "now it is [2, 4]"]),
        ({"space": {"cell": ["gru", "lstm"]}}, ["the space's 'cell' was ['lstm', 'gru']"]),
        ({"base": {"epochs": 7}}, ["the setting 'epochs' was 8, now it is 7"]),
        ({"base": {"seed": 7}}, ["the setting 'seed' was 1, now it is 7"]),
        ({"budget_bytes": 9000}, ["the goal 'budget_bytes' was None, now it is 9000"]),
        ({"against": "macs"}, ["the goal 'against' was 'bytes', now it is 'macs'"]),
    ],
)
def test_a_study_of_something_else_is_refused_by_key(
    tuned: Tuned, changed: dict[str, Any], words: list[str]
) -> None:
    first = tuned(trials=3)
    journal = (first.config.out / "study.journal").read_bytes()

    with pytest.raises(ConfigError) as found:
        tuned(trials=3, **changed)

    assert [word for word in words if word not in str(found.value)] == []
    assert (first.config.out / "study.journal").read_bytes() == journal


def test_a_study_of_other_rows_is_refused(
    tuned: Tuned, write_reviews: Callable[..., Path], tmp_path: Path
) -> None:
    tuned(trials=2)
    other = write_reviews(tmp_path / "other.csv", rows=170)

    with pytest.raises(DataError, match="the data are other rows"):
        tuned(trials=2, data=other)


def test_other_folders_and_damaged_studies_are_refused(tuned: Tuned, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(OutputError, match=r"is no study \(it has no study.json\)"):
        tuned(name="mine")

    study = tuned(trials=2).config.out
    journal = (study / "study.journal").read_text("utf-8")
    (study / "study.journal").write_text(journal + "nonsense\n" + journal, "utf-8")
    with pytest.raises(GateletError, match=r"journal .* is damaged"):
        tuned(trials=3)
    (study / "study.json").write_text("[]", "utf-8")
    with pytest.raises(GateletError, match=r"study\.json' is damaged"):
        tuned(trials=3)


def test_a_study_that_another_process_holds_is_refused(tuned: Tuned) -> None:
    import fcntl

    study = tuned(trials=2).config.out
    with (study / "study.journal").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="in use by another process"):
            tuned(trials=3)

    assert len(tuned(trials=3).points) == 3


def test_a_full_disk_is_told_in_a_sentence_and_loses_nothing(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optuna.storages.journal import JournalFileBackend

    append = JournalFileBackend.append_logs

    def full(self: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        if any(log.get("user_attrs", {}).get("number") == 3 for log in logs):
            with Path(self._file_path).open("ab") as file:
                file.write(b'{"op_code": 4, "half')
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, logs)

    whole = tuned(name="whole", trials=6)
    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", full)
        with pytest.raises(OutputError, match=r"study.journal': No space left on device; what has"):
            tuned(trials=6)

    assert told(tuned(trials=6)) == told(whole)


@pytest.mark.parametrize("full_at", [1, 2, 5, -1])
def test_a_full_disk_at_any_file_loses_no_trial(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch, full_at: int
) -> None:
    """The first file is the marker, the next ones are weights, the last ones show the results."""
    write_all, calls, written = files._write_all, count(1), 0

    def counted(handle: int, content: bytes) -> None:
        nonlocal written
        written += 1
        write_all(handle, content)

    def full(handle: int, content: bytes) -> None:
        if next(calls) >= (full_at if full_at > 0 else written):
            write_all(handle, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        write_all(handle, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_write_all", counted)
        whole = tuned(name="whole", trials=6)
        patch.setattr(files, "_write_all", full)
        with pytest.raises(OutputError, match=r"cannot write .*: No space left on device") as found:
            tuned(trials=6)
    assert "\n" not in str(found.value)

    result = tuned(trials=6)
    assert told(result) == told(whole)
    names, others = (
        {path.relative_to(one.config.out) for path in one.config.out.rglob("*")}
        for one in (result, whole)
    )
    assert names == others


def test_weights_that_are_gone_are_told(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    result = tuned(trials=2)
    for path in (result.config.out / "trials").glob("*.npz"):
        path.write_bytes(b"nothing")
    (result.config.out / "run" / "run.json").unlink()

    with pytest.raises(GateletError, match=r"the weights of trial \d cannot be read"):
        tuned(trials=2)


def test_trials_that_diverge_are_counted_and_a_study_of_them_alone_is_refused(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, fine = outcome, {0}

    def diverge(task: Task) -> Outcome:
        if task.number in fine:
            return made(task)
        gone = Finished(task.number, task.cost, task.bytes, (), 1, problem="the loss is not finite")
        return Outcome(gone, None, 0.0)

    monkeypatch.setitem(globals(), "outcome", diverge)
    result = tuned(trials=4)
    assert [one.state for one in result.points] == ["complete", "failed", "failed", "failed"]
    assert result.to_dict(result.points[1])["val_loss"] is None

    fine.clear()
    with pytest.raises(TrainingError, match="no trial gave a model: the loss is not finite"):
        tuned(trials=1, name="none")


def test_no_trial_begins_when_the_time_is_over(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))

    first = tuned(minutes=2)

    assert 1 < len(first.points) < 6
    assert len(tuned(minutes=60).points) == 12


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trials": 0}, "'trials' is 0; allowed: 1 or more"),
        ({"minutes": 0.0}, "'minutes' is 0.0; allowed: above 0"),
        ({"minutes": math.nan}, "'minutes' is nan"),
        ({"budget_bytes": 0}, "'budget_bytes' is 0"),
        ({"against": "speed"}, "'against' is 'speed'; known: bytes, macs, latency"),
        ({"quality": "auc"}, "'quality' is 'auc'; known: accuracy, loss"),
        ({"engine": "dask"}, "'engine' is 'dask'; known: optuna, ray"),
        ({"scheme": "int3"}, "scheme 'int3'"),
    ],
)
def test_values_that_cannot_be_used_are_refused(
    tuned: Tuned, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as found:
        tuned(**given)

    assert words in str(found.value)


def test_only_trials_that_have_ended_are_in_the_journal(tuned: Tuned, tmp_path: Path) -> None:
    import optuna

    with pytest.raises(Killed):
        tuned(killed_at=4)

    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "study" / "study.journal"))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.load_study(study_name=folder_module._NAME, storage=storage)
    assert len(study.trials) == 4
    assert all(one.state.is_finished() for one in study.trials)
