"""The state of a training after each epoch, in a file beside the run, from which another goes on.

Not the run: that is written once, at the end (`gatelet.train.fit`).
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatelet.errors import ConfigError, DataError, ModelError, OutputError
from gatelet.runtime.files import write_atomically
from gatelet.train.epochs import Course, Epoch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = list[NDArray[Any]]

FORMAT = "gatelet-checkpoint"
FORMAT_VERSION = 1
_ABOUT, _STATE, _BEST = "about", "state_", "best_"


@dataclass(frozen=True)
class Recipe:
    """What must be the same for a training to go on bit for bit.

    Args:
        config: The settings but for the place of the run.
        data_sha256: Of all rows as they were read.
        versions: Of what computes.
    """

    config: Mapping[str, Any]
    data_sha256: str
    versions: Mapping[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A training between two epochs.

    Args:
        course: The finished epochs, and the weights of the best.
        state: What the next epoch starts from.
    """

    course: "Course[Arrays]"
    state: "Arrays"


def checkpoint_of(out: Path) -> Path:
    """Return the path of the checkpoint of a run."""
    return out.with_name(f"{out.name}.checkpoint")


def check_place(path: Path) -> None:
    """Refuse to write over what is no checkpoint.

    Raises:
        OutputError: It is there, and something else.
    """
    if not path.exists():
        return
    try:
        _about(path)
    except ModelError as error:
        raise OutputError(
            f"'{path}' is where the checkpoint of this training goes, and it is none: move it, or "
            "choose another --out",
            path=str(path),
        ) from error


def save_checkpoint(path: Path, checkpoint: Checkpoint, recipe: Recipe) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    import numpy as np

    course = checkpoint.course
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **asdict(recipe),
        "epochs": [asdict(one) for one in course.epochs],
        "best": course.best,
        "before": course.before,
    }
    arrays = {
        _ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8),
        **{f"{_STATE}{place}": one for place, one in enumerate(checkpoint.state)},
        **{f"{_BEST}{place}": one for place, one in enumerate(course.weights)},
    }
    written = io.BytesIO()
    np.savez(written, **arrays)  # type: ignore[arg-type]  # its stubs take `allow_pickle` for one
    write_atomically(path, written.getvalue())


def load_checkpoint(path: Path, recipe: Recipe) -> Checkpoint:
    """Read a checkpoint that this very training wrote.

    Raises:
        ModelError: The file is damaged, or no checkpoint.
        ConfigError: It is of other settings: the first one that differs is named, and both values.
        DataError: It is of other rows.
    """
    about = _about(path)
    _check_same(path, about, recipe)
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            state, best = ([archive[n] for n in _names(archive, p)] for p in (_STATE, _BEST))
        epochs = tuple(Epoch(**one) for one in about["epochs"])
        course = Course(epochs, int(about["best"]), best, int(about.get("before", 0)))
        return Checkpoint(course, state)
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _names(archive: "np.lib.npyio.NpzFile", prefix: str) -> list[str]:
    count = sum(name.startswith(prefix) for name in archive.files)
    return [f"{prefix}{place}" for place in range(count)]


def _about(path: Path) -> dict[str, Any]:
    import numpy as np

    try:
        # np.load leaves a file open that it cannot read
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            found: dict[str, Any] = json.loads(archive[_ABOUT].tobytes())
    except (KeyError, TypeError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error
    if found.get("format") != FORMAT or found.get("format_version") != FORMAT_VERSION:
        raise _damaged(path, "it is of another format")
    return found


def _check_same(path: Path, about: Mapping[str, Any], recipe: Recipe) -> None:
    for what, was, now in (
        ("setting", about.get("config", {}), recipe.config),
        ("version of", about.get("versions", {}), recipe.versions),
    ):
        for key in sorted({*was, *now}):
            if was.get(key) != now.get(key):
                raise ConfigError(
                    f"cannot resume '{path}': the {what} '{key}' was {was.get(key)!r}, now it is "
                    f"{now.get(key)!r}: give what was given before, or train anew without --resume",
                    field=key,
                    value=now.get(key),
                )
    if about.get("data_sha256") != recipe.data_sha256:
        raise DataError(
            f"cannot resume '{path}': the data are other rows than those it was trained on: give "
            "the same file, or train anew without --resume",
            path=str(path),
        )


def _damaged(path: Path, problem: object) -> ModelError:
    return ModelError(
        f"'{path}' is no checkpoint, or damaged ({problem}): delete it, and train anew without "
        "--resume",
        path=str(path),
    )
