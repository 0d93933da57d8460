"""The reading of what is converted, with what the caller says of it.

Not the opening of files and objects, which is `model_source.py`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from gatelet.convert.reading.model_source import ModelSource, open_source
from gatelet.convert.reading.scaling import read_scaling, scaled
from gatelet.convert.settings import ConversionSettings
from gatelet.errors import ConfigError
from gatelet.runtime.data.dataset import Dataset


def read_source(model_or_run: Any, settings: ConversionSettings) -> ModelSource:
    """Read what is converted, with what the caller says of it.

    Args:
        model_or_run: As `open_source` takes it.
        settings: Whose vectorizer and rows come before those of the model.

    Raises:
        ConfigError: Scalers were given that cannot be the model's.
        ModelError: It does not exist or is damaged.
        UnsupportedLayer: It is a kind of model that is not supported.
    """
    settings.progress("reading the model")
    config = None if settings.config is None else Path(settings.config)
    source = open_source(model_or_run, config=config, custom_objects=settings.custom_objects)
    scaling = read_scaling(settings.scale)
    if scaling and source.provenance:
        raise ConfigError("--scale is for a model from elsewhere: a run holds its own scaling")
    return replace(
        source,
        model=scaled(source.model, scaling),
        scaling=scaling,
        vectorizer=settings.vectorizer or source.vectorizer,
        test=settings.data if isinstance(settings.data, Dataset) else source.test,
    )
