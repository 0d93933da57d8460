"""The rows that a configuration names, whatever the file: texts, or features with answers.

Not their parts, and not what training makes of them: that is `gatelet.train.prepare`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatelet.errors import ConfigError, DataError
from gatelet.runtime.data import dataset
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.run import Run
from gatelet.train.config import TrainConfig
from gatelet.train.corpora import load_corpus
from gatelet.train.inputs.shards import read_features, shards_of
from gatelet.train.inputs.tables import PARQUET
from gatelet.train.inputs.windows import Spec, read_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

Rows = Dataset | Arrays


@dataclass(frozen=True)
class Given:
    """Rows as they were read.

    Args:
        rows: Texts or arrays; x of these is float32 [N, T, F], finite.
        columns: F names, where a table names features.
        dropped: Recordings that were too short, and the like.
        parts: The part of each row, where time decides it; None elsewhere.
    """

    rows: Rows
    columns: tuple[str, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)
    parts: "NDArray[Any] | None" = None


def read_given(config: TrainConfig) -> Given:
    """Read what a training learns from.

    Raises:
        DataError: The file cannot be used; the message names the place and the remedy.
        ConfigError: The settings are not for a file of its kind.
    """
    _check(config)
    if config.corpus is not None:
        return Given(load_corpus(config.corpus, folder=config.data))
    assert config.data is not None
    return _read(config.data, config, columns=_split(config.columns))


def _check(config: TrainConfig) -> None:
    """Refuse windows of arrays, and lists of columns with none, or one twice."""
    if config.window is not None and config.data is not None and shards_of(config.data):
        raise ConfigError(
            f"'window' is for tables, and each row of '{config.data}' has its timesteps already: "
            "leave --window out",
            field="window",
        )
    for field_name in ("columns", "label_columns"):
        given = getattr(config, field_name)
        names = _split(given)
        twice = next((one for one in names if names.count(one) > 1), None)
        if given is not None and (twice is not None or not names):
            problem = f"names '{twice}' twice" if names else f"is '{given}', and names none"
            raise ConfigError(
                f"'{field_name}' {problem}: name each column once, with commas between",
                field=field_name,
                value=given,
            )


def takes_features(config: TrainConfig) -> bool:
    """Return whether a configuration's file holds features, as its name and its use tell."""
    is_arrays = config.data is not None and bool(shards_of(config.data))
    return is_arrays or config.window is not None


def read_like(run: Run, path: Path, **asked: str | None) -> Rows:
    """Read rows as those of a run were read: windows of the same columns, labels likewise.

    Args:
        run: Whose settings are taken.
        path: A file of the kind that the run was trained on, or `.npz`.
        **asked: Settings that go over those of the run, such as `label_column`; None for none.

    Raises:
        DataError: As `read_given`; or these are texts, and the run takes features, or the reverse.
    """
    if path.resolve() == run.test_path.resolve():
        return run.test_rows()
    kept, data = run.provenance.get("config"), run.provenance.get("data")
    settings = dict(kept) if isinstance(kept, dict) else {}
    if shards_of(path):
        settings.pop("group", None)  # a column of the table that the run was trained on
    settings |= {name: value for name, value in asked.items() if value is not None}
    settings |= {"data": path, "out": path, "task": run.task}
    settings.pop("corpus", None)
    columns = data.get("columns", ()) if isinstance(data, dict) else ()
    known = {name: value for name, value in settings.items() if name in _READ}
    rows = _read(path, TrainConfig.resolve(overrides=known), columns=tuple(map(str, columns))).rows
    if isinstance(rows, Dataset) != run.takes_texts:
        takes, holds = ("texts", "arrays") if run.takes_texts else ("features", "texts")
        raise DataError(f"run '{run.path}' takes {takes}, and '{path}' holds {holds}")
    return rows


_READ = (
    *("data", "out", "task", "text_column", "label_column", "label_columns"),
    *("group", "window", "stride", "columns", "horizon"),
)
"""The settings that reading depends on."""


def _read(path: Path, config: TrainConfig, *, columns: tuple[str, ...]) -> Given:
    if shards_of(path):
        return Given(read_features(path, group=config.group))
    if config.window is not None:
        spec = _spec(config, config.window, columns)
        made = read_windows(path, spec)
        return Given(made.arrays, made.columns, made.dropped, made.parts)
    if path.suffix.lower() == PARQUET:
        raise DataError(
            f"'{path}' holds rows of numbers: give --window, how many of them a model is given",
            path=str(path),
        )
    return Given(
        dataset.read(
            path,
            text_column=config.text_column,
            label_column=config.label_column,
            group_column=config.group or "",
            flag_columns=_split(config.label_columns),
        )
    )


def _spec(config: TrainConfig, window: int, columns: tuple[str, ...]) -> Spec:
    several = _split(config.label_columns)
    task = config.task or ("regression" if config.horizon else "multi-label" if several else None)
    return Spec(
        window=window,
        stride=config.stride or window,
        group=config.group or "",
        columns=columns,
        label_columns=several or (config.label_column,),
        task=task,
        horizon=config.horizon or 0,
    )


def _split(names: str | None) -> tuple[str, ...]:
    return tuple(one.strip() for one in names.split(",") if one.strip()) if names else ()
