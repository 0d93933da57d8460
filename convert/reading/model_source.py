"""What is converted: a run, a Keras file or a live model, with what belongs to it.

Not the reading of Keras' formats: that is `gatelet.convert.reading`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gatelet.convert.reading import (
    Equivalents,
    SourceModel,
    keras_suffix,
    read_keras_file,
    read_keras_object,
    read_weights_with_config,
)
from gatelet.convert.reading.assembly import assembled
from gatelet.convert.reading.scaling import Scaling
from gatelet.convert.reading.text_layer import take_text_layer
from gatelet.errors import ConfigError
from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.run import Run, is_run
from gatelet.runtime.stages import temporary_folder
from gatelet.runtime.vectorizer.opening import AnyVectorizer


@dataclass(frozen=True)
class ModelSource:
    """A model to convert.

    Args:
        name: What to call it.
        model: As read.
        keras_file: The model as Keras saved it, for Keras' own verdict; None without it.
        vectorizer: The training vectorizer, if known.
        labels: In the order of the outputs; () if not known.
        threshold: For a single sigmoid output.
        test: Texts that training has not seen, if kept.
        calibration: Texts that it has seen, if kept.
        arrays: Features that training has not seen, if kept.
        calibration_arrays: Features that it has seen, if kept.
        thresholds: Of a run whose rows may have several labels, one a label.
        provenance: Of the run.
        takes_texts: The Keras model begins with a TextVectorization layer.
        live: The model itself, where the caller gave one.
        decisions: What labels and threshold alone do not say; () where they do.
        named: Somebody named the labels: they are no numbers that stand for names.
        scaling: The scalers that stood outside it, which `model` has within and the file has not.
    """

    name: str
    model: SourceModel
    keras_file: bytes | None
    vectorizer: AnyVectorizer | None = None
    labels: tuple[str, ...] = ()
    threshold: float = 0.5
    test: Dataset | None = None
    calibration: Dataset | None = None
    arrays: Arrays | None = None
    calibration_arrays: Arrays | None = None
    thresholds: tuple[float, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    takes_texts: bool = False
    live: Any = None
    decisions: tuple[Decision, ...] = ()
    named: bool = False
    scaling: Scaling = field(default_factory=dict)

    @property
    def keras_suffix(self) -> str:
        """The suffix by which Keras knows the format of `keras_file`: '.keras' or '.h5'."""
        return keras_suffix(self.keras_file or b"")


def open_source(
    source: Any,
    *,
    config: Path | None = None,
    custom_objects: Equivalents = MappingProxyType({}),
) -> ModelSource:
    """Open what the caller wants converted.

    Args:
        source: A Run, the path of a run directory or of a Keras file (`.keras`, or HDF5 of any
            Keras), or a live model of Keras 3 or tf_keras.
        config: What `model.to_json()` gave, for a file that holds weights only.
        custom_objects: What stands for layers whose code is not Keras' own: see
            `gatelet.convert.reading.equivalents`.

    Raises:
        ModelError: It does not exist or is damaged.
        UnsupportedLayer: It is a kind of model that is not supported.
    """
    opened = _open(source, config, custom_objects)
    model, vectorizer = take_text_layer(opened.model)
    if vectorizer is None:
        return opened
    return replace(opened, model=model, vectorizer=vectorizer, takes_texts=True)


def _open(source: Any, config: Path | None, custom_objects: Equivalents) -> ModelSource:
    is_path = isinstance(source, str | Path)
    if config is not None:
        if not is_path:
            raise ConfigError("a configuration is for a file of weights, not for a run or a model")
        return _open_weights(Path(source), config, custom_objects)
    if isinstance(source, Run):
        return _open_run(source)
    if not is_path:
        return _open_object(source, custom_objects)
    path = Path(source)
    if path.is_dir() and is_run(path):
        return _open_run(Run.open(path))
    model = read_keras_file(path, equivalents=custom_objects)
    return ModelSource(name=path.stem, model=model, keras_file=path.read_bytes())


def _open_run(run: Run) -> ModelSource:
    test, calibration = run.test_rows(), run.calibration_rows()
    return ModelSource(
        name=run.path.name,
        model=read_keras_file(run.model_path),
        keras_file=run.model_path.read_bytes(),
        vectorizer=run.vectorizer() if run.takes_texts else None,
        labels=run.labels,
        threshold=run.threshold,
        test=test if isinstance(test, Dataset) else None,
        calibration=calibration if isinstance(calibration, Dataset) else None,
        arrays=test if isinstance(test, Arrays) else None,
        calibration_arrays=calibration if isinstance(calibration, Arrays) else None,
        thresholds=run.thresholds,
        provenance=run.provenance,
    )


def _open_weights(path: Path, config: Path, custom_objects: Equivalents) -> ModelSource:
    model = read_weights_with_config(path, config, equivalents=custom_objects)
    name = path.name.removesuffix(".weights.h5").removesuffix(".h5")
    text = config.read_text("utf-8")
    whole = assembled(text, path.read_bytes(), keras_version=model.keras_version)
    return ModelSource(name=name, model=model, keras_file=whole)


def _open_object(model: Any, custom_objects: Equivalents) -> ModelSource:
    read = read_keras_object(model, equivalents=custom_objects)
    with temporary_folder() as folder:
        path = folder / "model.keras"
        try:
            model.save(path)
            saved = path.read_bytes()
        except (OSError, TypeError, ValueError, NotImplementedError):
            saved = None  # what it computes is read all the same
        return ModelSource(name=str(model.name), model=read, keras_file=saved, live=model)
