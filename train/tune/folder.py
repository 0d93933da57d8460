"""The folder of a study: what it is of, the journal of its trials, and weights worth keeping.

Not the search: that is `gatelet.train.tune.search`. Only trials that have ended are in the journal,
each as one line: whatever kills the process, a trial is there once or not at all.
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gatelet.errors import ConfigError, DataError, ModelError, OutputError
from gatelet.runtime.files import try_lock, write_atomically
from gatelet.runtime.stages import check_output_directory
from gatelet.train.epochs import Epoch
from gatelet.train.tune.front import Finished
from gatelet.train.tune.sampling import DIRECTIONS, distributions
from gatelet.train.tune.space import Space, Value

if TYPE_CHECKING:
    import optuna

    from gatelet.train.model import Weights

MARKER, JOURNAL, TRIALS, RUN = "study.json", "study.journal", "trials", "run"
FORMAT, FORMAT_VERSION = "gatelet-study", 1
_NAME = "gatelet"


@dataclass(frozen=True)
class About:
    """What must be the same for a study to go on.

    Args:
        space: What varies, as TOML holds it.
        settings: Of the recipe, but for where rows are and results go.
        data_sha256: Of all rows as they were read.
        goals: What trials are judged by: 'quality', 'against', 'scheme', 'budget_bytes'.
    """

    space: Mapping[str, Any]
    settings: Mapping[str, Any]
    data_sha256: str
    goals: Mapping[str, Any]


class StudyFolder:
    """An open study, which no other process writes to.

    Args:
        path: The folder.
        space: What varies.
    """

    def __init__(self, path: Path, space: Space) -> None:
        self.path = path
        self._space = space
        self._journal = _open_journal(path / JOURNAL)

    @property
    def frozen(self) -> "list[optuna.trial.FrozenTrial]":
        """The trials that have ended, as Optuna has them, by number."""
        return sorted(self._journal.trials, key=lambda one: int(one.user_attrs["number"]))

    def finished(self) -> list[Finished]:
        """Return the trials that have ended, by number."""
        return [_finished(one.user_attrs) for one in self.frozen]

    def params(self) -> dict[int, dict[str, Value]]:
        """Return what was proposed for each trial that has ended."""
        return {int(one.user_attrs["number"]): dict(one.params) for one in self.frozen}

    def facts(self) -> dict[int, dict[str, Any]]:
        """Return what was noted of each trial that has ended."""
        return {int(one.user_attrs["number"]): dict(one.user_attrs) for one in self.frozen}

    def add(
        self, one: Finished, params: Mapping[str, Value], *, measure: str, facts: Mapping[str, Any]
    ) -> None:
        """Write a trial that has ended to the journal.

        Raises:
            OutputError: The journal cannot be written.
        """
        import optuna

        states = optuna.trial.TrialState
        values = [one.quality(measure), one.cost] if one.is_whole else None
        trial = optuna.create_trial(
            state=states.COMPLETE if one.is_whole else states.PRUNED,
            values=values,
            params=dict(params),
            distributions=distributions(self._space, params),
            user_attrs={**asdict(one), **facts},
        )
        with _told_of(self.path / JOURNAL):
            self._journal.add_trial(trial)

    def keep(self, number: int, weights: "Weights") -> None:
        """Write the weights of a trial, whole or not at all.

        Raises:
            OutputError: They cannot be written.
        """
        import numpy as np

        written = io.BytesIO()
        arrays: dict[str, Any] = {f"weight_{i}": one for i, one in enumerate(weights)}
        np.savez(written, **arrays)
        place = self._weights_of(number)
        with _told_of(place):
            place.parent.mkdir(exist_ok=True)
        write_atomically(place, written.getvalue())

    def weights(self, number: int) -> "Weights":
        """Read the weights of a trial.

        Raises:
            ModelError: They are not there, or damaged.
        """
        import numpy as np

        place = self._weights_of(number)
        try:
            with place.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return [archive[f"weight_{i}"] for i in range(len(archive.files))]
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ModelError(
                f"the weights of trial {number} cannot be read from '{place}' ({error}): delete "
                f"'{self.path}', and tune again",
                path=str(place),
            ) from error

    def drop_all_but(self, numbers: Sequence[int]) -> None:
        """Delete the weights of other trials, and what a killed process left."""
        kept = {self._weights_of(number) for number in numbers}
        for path in (self.path / TRIALS).glob("*"):
            if path not in kept:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _weights_of(self, number: int) -> Path:
        return self.path / TRIALS / f"{number:04}.npz"


@contextlib.contextmanager
def open_study(path: Path, about: About, space: Space) -> Iterator[StudyFolder]:
    """Open the study of a folder, or begin one there, and hold it.

    Args:
        path: A folder that is not there, empty, or a study's.
        about: What is asked for.
        space: What varies.

    Raises:
        ConfigError: The study that is there is of other settings; the first that differs is named.
        DataError: It is of other rows.
        ModelError: Its journal is damaged.
        OutputError: The folder is some other one, cannot be written, or is in use.
    """
    check_output_directory(path, marker=MARKER, kind="study")
    with _told_of(path):
        path.mkdir(exist_ok=True)
    marker = path / MARKER
    if marker.is_file():
        _check_same(marker, about)
    else:
        stored = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(about)}
        write_atomically(marker, json.dumps(stored, indent=2).encode("ascii") + b"\n")
    with contextlib.ExitStack() as stack:
        with _told_of(path / JOURNAL):
            file = stack.enter_context((path / JOURNAL).open("ab+"))
        if try_lock(file.fileno()) is False:
            raise OutputError(
                f"the study '{path}' is in use by another process: wait for its end, or choose "
                "another --out",
                path=str(path),
            )
        _mend(file)
        yield StudyFolder(path, space)


def _mend(file: BinaryIO) -> None:
    """Cut off the line of which a kill or a full disk left the beginning."""
    file.seek(0)
    whole = file.read()
    file.truncate(whole.rfind(b"\n") + 1)


def _open_journal(path: Path) -> "optuna.Study":
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class Held(JournalFileOpenLock):
        """The study is held already, by a lock that ends with its process."""

        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            return

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = optuna.storages.JournalStorage(
            JournalFileBackend(str(path), lock_obj=Held(str(path)))
        )
        with _told_of(path):
            study = optuna.create_study(
                study_name=_NAME, storage=storage, directions=DIRECTIONS, load_if_exists=True
            )
        for one in study.trials:
            _finished(one.user_attrs)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"the journal '{path}' is damaged ({error}): delete its folder, and tune again",
            path=str(path),
        ) from error
    return study


def _finished(facts: Mapping[str, Any]) -> Finished:
    stored = {name: facts[name] for name in Finished.__dataclass_fields__}
    return Finished(**{**stored, "epochs": tuple(Epoch(**one) for one in stored["epochs"])})


@contextlib.contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Make one sentence of what the system says of a file."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write '{path}': {error.strerror or error}; what has ended is kept: make "
            "room, and give the same command again",
            path=str(path),
        ) from error


def _check_same(marker: Path, about: About) -> None:
    try:
        stored = json.loads(marker.read_bytes())
        is_ours = stored["format"] == FORMAT and stored["format_version"] == FORMAT_VERSION
        was = About(**{name: stored[name] for name in About.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"'{marker}' is damaged ({error}): delete its folder, and tune again", path=str(marker)
        ) from error
    if not is_ours:
        raise ModelError(f"'{marker}' is of another format: choose another --out")
    now = json.loads(json.dumps(asdict(about)))
    for what, word in (
        ("space", "the space's"),
        ("settings", "the setting"),
        ("goals", "the goal"),
    ):
        before, after = getattr(was, what), now[what]
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                raise ConfigError(
                    f"cannot go on with the study '{marker.parent}': {word} '{key}' was "
                    f"{before.get(key)!r}, now it is {after.get(key)!r}: give what was given "
                    "before, or choose another --out",
                    field=key,
                )
    if was.data_sha256 != about.data_sha256:
        raise DataError(
            f"cannot go on with the study '{marker.parent}': the data are other rows than those "
            "of its trials: give the same file, or choose another --out",
            path=str(marker.parent),
        )
