"""The reading of what is converted, with what the caller says of it.

Not the opening of files and objects, which is `model_source.py`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from gatelet.convert.reading.model_source import ModelSource, open_source
from gatelet.convert.settings import ConversionSettings
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.data.dataset import Dataset


def read_source(model_or_run: Any, settings: ConversionSettings, worker: Worker) -> ModelSource:
    """Read what is converted, with what the caller says of it.

    Args:
        model_or_run: As `open_source` takes it.
        settings: Whose vectorizer, rows and labels come before those of the model.
        worker: Where Keras puts together weights and configuration that came apart.

    Raises:
        ModelError: It does not exist or is damaged.
        UnsupportedLayer: It is a kind of model that is not supported.
    """
    settings.progress("reading the model")
    config = None if settings.config is None else Path(settings.config)
    source = open_source(model_or_run, config=config, custom_objects=settings.custom_objects)
    source = replace(
        source,
        vectorizer=settings.vectorizer or source.vectorizer,
        test=settings.data if isinstance(settings.data, Dataset) else source.test,
        labels=tuple(settings.labels) or source.labels,
    )
    return _assembled(source, worker) if settings.asks_keras else source.without_file()


def _assembled(source: ModelSource, worker: Worker) -> ModelSource:
    """Let Keras put a model's weights and configuration into one file.

    Args:
        source: With `config_json`, or it is returned as it is.
        worker: Where Keras runs.

    Returns:
        The source with that file, or with the reason why Keras cannot make it.
    """
    if source.config_json is None:
        return source
    bare = source.without_file()
    with worker.exchange() as folder:
        config, weights, out = (folder / name for name in ("config.json", "weights", "model.keras"))
        config.write_text(source.config_json, "utf-8")
        weights.write_bytes(source.keras_file or b"")
        refusal: str | None = worker.call(
            "gatelet.convert.reading.assembly_job:assemble_job",
            {"config": str(config), "weights": str(weights), "out": str(out)},
            step="loading of the weights by Keras",
        )
        if refusal is not None:
            return replace(bare, keras_refusal=refusal)
        return replace(bare, keras_file=out.read_bytes())
