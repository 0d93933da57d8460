"""The run directory: what training leaves for conversion and evaluation to read.

Not how a run is made: that is `gatelet.train.fit`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gatelet.errors import DataError, ModelError
from gatelet.runtime.data import dataset
from gatelet.runtime.data.arrays import Arrays, read_arrays, sha256_of_arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.metrics import Metrics
from gatelet.runtime.files import write_atomically
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

FORMAT = "gatelet-run"
FORMAT_VERSION = 2
"""Of runs that take features, or whose task is none of `_FORMER_TASKS`; others are written as 1."""
MARKER = "run.json"
SEEN = (
    "these are the rows that the model was trained on (the same digest), so figures on them say "
    "little of others; a part of those rows would not be noticed: give a file that training has "
    "not seen with --data"
)
"""What to say of such rows."""

TASKS = ("binary", "multiclass", "multi-label", "regression", "tags")
"""One sigmoid score; a softmax score a label; a sigmoid score a label; values; a softmax score a
label, for each timestep."""
_FORMER_TASKS = ("binary", "multiclass")
INPUTS = ("texts", "features")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A trained model with everything that is needed to use, convert and check it.

    Attributes:
        path: The run directory.
        labels: Label names in the order of the scores; two for the task 'binary', whose one
            score is that of labels[1]; none for 'regression'.
        task: One of `TASKS`.
        threshold: The score in (0, 1) from which a binary model says labels[1].
        provenance: Where the model comes from, as JSON values: versions, data and its sha256,
            rows of each part, seed, configuration, epochs.
        inputs: One of `INPUTS`: with 'features' there is no vectorizer.
        thresholds: Of 'multi-label', one a label: from which on a row has it.
    """

    path: Path
    labels: tuple[str, ...]
    task: str
    threshold: float = 0.5
    provenance: Mapping[str, object] = field(default_factory=dict)
    inputs: str = "texts"
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Check that labels, task and thresholds fit together."""
        if problem := _problem(self._stored()):
            raise ValueError(problem)

    @property
    def takes_texts(self) -> bool:
        """Whether the model is given texts, by its vectorizer; else features."""
        return self.inputs == "texts"

    @property
    def model_path(self) -> Path:
        """The trained model, as Keras saves it."""
        return self.path / "model.keras"

    @property
    def vectorizer_path(self) -> Path:
        """The vectorizer that was fitted on the training part."""
        return self.path / "vectorizer.json"

    @property
    def test_path(self) -> Path:
        """The rows that training has not seen."""
        return self.path / ("test.jsonl" if self.takes_texts else "test.npz")

    @property
    def calibration_path(self) -> Path:
        """Rows of the training part that show the ranges of a model's values."""
        return self.path / ("calibration.jsonl" if self.takes_texts else "calibration.npz")

    @classmethod
    def open(cls, path: Path | str) -> "Run":
        """Read the description of a run.

        Args:
            path: A run directory.

        Returns:
            The run; its model, vectorizer and test part are there but not read yet.

        Raises:
            ModelError: It is no run, its run.json is damaged or of a newer format, or its
                model or vectorizer is missing.
        """
        path = Path(path)
        stored = _stored(path)
        if problem := _problem(stored):
            raise _damaged(path, problem)
        provenance = stored.get("provenance")
        if not isinstance(provenance, dict):
            raise _damaged(path, "'provenance' is not an object")
        run = cls(
            path=path,
            labels=_texts(stored, "labels"),
            task=str(stored["task"]),
            threshold=_number(stored["threshold"]),
            provenance=provenance,
            inputs=str(stored.get("inputs", INPUTS[0])),
            thresholds=_numbers(stored),
        )
        for part in (run.model_path, *((run.vectorizer_path,) if run.takes_texts else ())):
            if not part.is_file():
                raise ModelError(f"run '{path}' has no {part.name}: train it again", path=str(part))
        return run

    def save(self) -> None:
        """Write run.json, which makes the folder a run: call it when the other files are there.

        Raises:
            OutputError: The file cannot be written.
        """
        text = json.dumps(self._stored(), indent=2, allow_nan=False)
        write_atomically(self.path / MARKER, text.encode("ascii") + b"\n")

    def _stored(self) -> dict[str, object]:
        """Return what run.json holds: of format 1 where that says it all."""
        is_former = self.task in _FORMER_TASKS and self.takes_texts
        stored = {
            "format": FORMAT,
            "format_version": 1 if is_former else FORMAT_VERSION,
            "labels": list(self.labels),
            "task": self.task,
            "threshold": self.threshold,
            "provenance": dict(self.provenance),
        }
        if not is_former:
            stored |= {"inputs": self.inputs, "thresholds": list(self.thresholds)}
        return stored

    def vectorizer(self) -> Vectorizer:
        """Read the vectorizer.

        Raises:
            ModelError: The file is not a vectorizer, or the run takes features.
        """
        if not self.takes_texts:
            raise ModelError(f"run '{self.path}' takes features, so it has no vectorizer")
        return Vectorizer.load(self.vectorizer_path)

    def test(self) -> Dataset:
        """Read the test part of a run that takes texts; `test_rows` reads that of any.

        Raises:
            DataError: The file is missing or damaged, or the run takes features.
        """
        return self._texts_of(self.test_rows())

    def test_rows(self) -> Dataset | Arrays:
        """Read the test part.

        Raises:
            DataError: The file is missing or damaged.
        """
        if not self.test_path.is_file():
            raise DataError(
                f"run '{self.path}' has no {self.test_path.name}: name a data file, "
                "or train it again",
                path=str(self.test_path),
            )
        return self._read(self.test_path)

    def baseline(self, rows: Dataset) -> tuple[str, Metrics] | None:
        """Return what was trained beside the model, and its figures.

        Args:
            rows: On these rows; figures are known of the test part only.

        Returns:
            None of other rows, of a run without a baseline, and of a damaged metrics.json.
        """
        path = self.path / "metrics.json"
        if not (path.is_file() and self.test_path.is_file()):
            return None
        if dataset.sha256_of(rows) != dataset.sha256_of(self.test()):
            return None
        try:
            stored = json.loads(path.read_bytes())["baseline"]
            return str(stored["name"]), Metrics.from_dict(stored)
        except (KeyError, TypeError, ValueError, OSError):
            return None

    def calibration(self) -> Dataset | None:
        """Read the rows for calibration of a run that takes texts; `calibration_rows` any.

        Raises:
            DataError: The file is damaged, or the run takes features.
        """
        found = self.calibration_rows()
        return None if found is None else self._texts_of(found)

    def calibration_rows(self) -> Dataset | Arrays | None:
        """Read the rows for calibration; None for a run of a gatelet that kept none.

        Raises:
            DataError: The file is damaged.
        """
        return self._read(self.calibration_path) if self.calibration_path.is_file() else None

    def _read(self, path: Path) -> Dataset | Arrays:
        if not self.takes_texts:
            return read_arrays(path)
        config = self.provenance.get("config")
        grouped = isinstance(config, Mapping) and bool(config.get("group"))
        group = "group" if grouped else ""
        return dataset.read(path, text_column="text", label_column="label", group_column=group)

    def _texts_of(self, rows: Dataset | Arrays) -> Dataset:
        if isinstance(rows, Dataset):
            return rows
        raise DataError(f"run '{self.path}' takes features: its rows are no texts")


def was_trained_on(provenance: Mapping[str, object], rows: Dataset | Arrays) -> bool:
    """Return whether rows are the very ones that a run was trained on.

    Args:
        provenance: Of the run. Its digest is of all rows in their order: a part of them, or other
            rows besides, are not noticed.
        rows: In question.
    """
    data = provenance.get("data")
    return isinstance(data, Mapping) and data.get("sha256") == sha256_of_rows(rows)


def sha256_of_rows(rows: Dataset | Arrays) -> str:
    """Return the digest of rows, by which a run knows what it was trained on."""
    return dataset.sha256_of(rows) if isinstance(rows, Dataset) else sha256_of_arrays(rows)


def is_run(path: Path | str) -> bool:
    """Return whether a folder is a run, damaged ones included.

    Args:
        path: Any path; it need not exist.
    """
    return (Path(path) / MARKER).is_file()


def _stored(path: Path) -> dict[str, object]:
    if not path.is_dir():
        raise ModelError(f"run '{path}' does not exist, or is no folder", path=str(path))
    if not is_run(path):
        raise ModelError(
            f"'{path}' is no run (it has no {MARKER}): name a folder that gatelet train wrote",
            path=str(path),
        )
    try:
        stored = json.loads((path / MARKER).read_bytes())
    except OSError as error:
        raise ModelError(
            f"cannot read '{path / MARKER}': {error.strerror or error}", path=str(path)
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not JSON ({error})") from error
    if not isinstance(stored, dict):
        raise _damaged(path, "expected an object")
    if stored.get("format") != FORMAT:
        raise _damaged(path, f"'format' is {stored.get('format')!r}, expected {FORMAT!r}")
    version = stored.get("format_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise _damaged(path, f"'format_version' is {version!r}, expected an integer from 1")
    if version > FORMAT_VERSION:
        raise ModelError(
            f"run '{path}' has format_version {version}; this gatelet reads up to "
            f"{FORMAT_VERSION}: install a newer gatelet",
            path=str(path),
            format_version=version,
            supported=FORMAT_VERSION,
        )
    return stored


def _problem(stored: Mapping[str, object]) -> str | None:
    labels, task, inputs = (stored.get(key) for key in ("labels", "task", "inputs"))
    thresholds = stored.get("thresholds", [])
    if not isinstance(labels, list) or not all(isinstance(x, str) for x in labels):
        return "'labels' is not a list of strings"
    if task not in TASKS:
        return f"'task' is {task!r}, expected one of {', '.join(map(repr, TASKS))}"
    if inputs not in (None, *INPUTS):
        return f"'inputs' is {inputs!r}, expected one of {', '.join(map(repr, INPUTS))}"
    if (problem := _problem_of_labels(labels, str(task))) is not None:
        return problem
    if not isinstance(thresholds, list):
        return f"'thresholds' is {thresholds!r}, expected a list"
    if len(thresholds) != (len(labels) if task == "multi-label" else 0):
        return f"'thresholds' has {len(thresholds)} numbers, expected one a label of 'multi-label'"
    for name, one in (
        ("threshold", stored.get("threshold")),
        *(("thresholds", one) for one in thresholds),
    ):
        if isinstance(one, bool) or not isinstance(one, int | float):
            return f"'{name}' is {one!r}, expected a number"
        if not 0 < one < 1:
            return f"'{name}' is {one!r}, expected a number between 0 and 1"
    return None


def _problem_of_labels(labels: list[object], task: str) -> str | None:
    if task == "regression":
        return f"'labels' is {labels!r}, expected none for 'regression'" if labels else None
    if len(labels) < 2 or len(set(labels)) < len(labels):
        return f"'labels' is {labels!r}, expected two or more, each once"
    if task == "binary" and len(labels) != 2:
        return f"'labels' has {len(labels)} names, expected 2 for the task 'binary'"
    return None


def _texts(stored: Mapping[str, object], key: str) -> tuple[str, ...]:
    found = stored[key]
    assert isinstance(found, list)
    return tuple(map(str, found))


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _numbers(stored: Mapping[str, object]) -> tuple[float, ...]:
    found = stored.get("thresholds", [])
    assert isinstance(found, list)
    return tuple(map(_number, found))


def _damaged(path: Path, problem: str) -> ModelError:
    return ModelError(
        f"run '{path}' has a damaged {MARKER}: {problem}: train it again",
        path=str(path),
        problem=problem,
    )
