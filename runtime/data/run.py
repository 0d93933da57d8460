"""The run directory: what training leaves for conversion and evaluation to read.

Not how a run is made: that is `gatelet.train.fit`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gatelet.errors import DataError, ModelError
from gatelet.runtime.data import dataset
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.metrics import Metrics
from gatelet.runtime.files import write_atomically
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

FORMAT = "gatelet-run"
FORMAT_VERSION = 1
MARKER = "run.json"
SEEN = (
    "these are the rows that the model was trained on (the same digest), so figures on them say "
    "little of others; a part of those rows would not be noticed: give a file that training has "
    "not seen with --data"
)
"""What to say of such rows."""

TASKS = ("binary", "multiclass")  # one sigmoid score, or one softmax score a label


@dataclass(frozen=True, kw_only=True)
class Run:
    """A trained model with everything that is needed to use, convert and check it.

    Attributes:
        path: The run directory.
        labels: Label names in the order of the scores; two for the task 'binary', whose one
            score is that of labels[1].
        task: 'binary' or 'multiclass'.
        threshold: The score in (0, 1) from which a binary model says labels[1].
        provenance: Where the model comes from, as JSON values: versions, data and its sha256,
            rows of each part, seed, configuration, epochs.
    """

    path: Path
    labels: tuple[str, ...]
    task: str
    threshold: float = 0.5
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that labels, task and threshold fit together."""
        if problem := _problem(self.labels, task=self.task, threshold=self.threshold):
            raise ValueError(problem)

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
        return self.path / "test.jsonl"

    @property
    def calibration_path(self) -> Path:
        """Rows of the training part that show the ranges of a model's values."""
        return self.path / "calibration.jsonl"

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
        labels, task, threshold = (stored.get(key) for key in ("labels", "task", "threshold"))
        if problem := _problem(labels, task=task, threshold=threshold):
            raise _damaged(path, problem)
        assert isinstance(labels, list) and isinstance(task, str)
        assert isinstance(threshold, int | float)
        provenance = stored.get("provenance")
        if not isinstance(provenance, dict):
            raise _damaged(path, "'provenance' is not an object")
        run = cls(
            path=path,
            labels=tuple(labels),
            task=task,
            threshold=float(threshold),
            provenance=provenance,
        )
        for part in (run.model_path, run.vectorizer_path):
            if not part.is_file():
                raise ModelError(f"run '{path}' has no {part.name}: train it again", path=str(part))
        return run

    def save(self) -> None:
        """Write run.json, which makes the folder a run: call it when the other files are there.

        Raises:
            OutputError: The file cannot be written.
        """
        stored = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "labels": list(self.labels),
            "task": self.task,
            "threshold": self.threshold,
            "provenance": dict(self.provenance),
        }
        text = json.dumps(stored, indent=2, allow_nan=False)
        write_atomically(self.path / MARKER, text.encode("ascii") + b"\n")

    def vectorizer(self) -> Vectorizer:
        """Read the vectorizer.

        Raises:
            ModelError: The file is not a vectorizer.
        """
        return Vectorizer.load(self.vectorizer_path)

    def test(self) -> Dataset:
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
        return dataset.read(self.test_path, text_column="text", label_column="label")

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
        """Read the rows for calibration; None for a run of a gatelet that kept none.

        Raises:
            DataError: The file is damaged.
        """
        if not self.calibration_path.is_file():
            return None
        return dataset.read(self.calibration_path, text_column="text", label_column="label")


def was_trained_on(provenance: Mapping[str, object], rows: Dataset) -> bool:
    """Return whether rows are the very ones that a run was trained on.

    Args:
        provenance: Of the run. Its digest is of all rows in their order: a part of them, or other
            rows besides, are not noticed.
        rows: In question.
    """
    data = provenance.get("data")
    return isinstance(data, Mapping) and data.get("sha256") == dataset.sha256_of(rows)


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


def _problem(labels: object, *, task: object, threshold: object) -> str | None:
    if not isinstance(labels, list | tuple) or not all(isinstance(x, str) for x in labels):
        return "'labels' is not a list of strings"
    if len(labels) < 2 or len(set(labels)) < len(labels):
        return f"'labels' is {list(labels)!r}, expected two or more, each once"
    if task not in TASKS:
        return f"'task' is {task!r}, expected one of {', '.join(map(repr, TASKS))}"
    if task == "binary" and len(labels) != 2:
        return f"'labels' has {len(labels)} names, expected 2 for the task 'binary'"
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        return f"'threshold' is {threshold!r}, expected a number"
    if not 0 < threshold < 1:
        return f"'threshold' is {threshold!r}, expected a number between 0 and 1"
    return None


def _damaged(path: Path, problem: str) -> ModelError:
    return ModelError(
        f"run '{path}' has a damaged {MARKER}: {problem}: train it again",
        path=str(path),
        problem=problem,
    )
