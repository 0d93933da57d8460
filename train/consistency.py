"""Settings of a training that exclude each other, or need each other: one sentence for each.

Not what a setting alone may be: that stands with it, in `gatelet.train.config`.
"""

from typing import TYPE_CHECKING

from gatelet.errors import ConfigError
from gatelet.train.corpora import check_corpus
from gatelet.train.tasks import TASKS

if TYPE_CHECKING:
    from gatelet.train.config import TrainConfig


def check_together(config: "TrainConfig") -> None:
    """Refuse settings that do not go together.

    Raises:
        ConfigError: With the field to change.
    """
    _check_network(config)
    _check_data(config)
    _check_training(config)


def _check_network(config: "TrainConfig") -> None:
    if config.pooling != "last" and config.mask_zero:
        raise ConfigError(
            f"'pooling' {config.pooling!r} and 'mask_zero' exclude each other: a text without a "
            "known word would have no timestep to pool",
            field="pooling",
            value=config.pooling,
        )
    if config.conv and config.mask_zero:
        raise ConfigError(
            "'conv' and 'mask_zero' exclude each other: Keras' Conv1D drops the mask, so "
            "padding would be read all the same",
            field="conv",
        )
    given = config.data
    is_arrays = given is not None and (given.suffix == ".npz" or any(given.glob("*.npz")))
    of_texts = config.window is None and not is_arrays
    if of_texts and config.conv and config.conv_width > config.maxlen:
        raise ConfigError(
            f"'conv_width' is {config.conv_width}, and texts have {config.maxlen} timesteps "
            "('maxlen'); allowed: at most as many",
            field="conv_width",
            value=config.conv_width,
        )


def _check_training(config: "TrainConfig") -> None:
    if config.split == "" and not config.char_level:
        raise ConfigError("'split' is empty; allowed: one character or more", field="split")
    if config.data is None and config.corpus is None:
        raise ConfigError("expected either data or corpus, got neither", field="data")
    if config.corpus is not None:
        check_corpus(config.corpus, has_data=config.data is not None)


def _check_data(config: "TrainConfig") -> None:
    """Refuse settings of windows without windows, and others that exclude each other."""
    for name in ("stride", "columns", "horizon"):
        if config.window is None and getattr(config, name) is not None:
            raise ConfigError(
                f"'{name}' is for windows of rows of numbers: give --window too", field=name
            )
    if config.horizon is not None and config.task not in (None, "regression"):
        raise ConfigError(
            f"'horizon' predicts values, and 'task' is '{config.task}': leave one of them out",
            field="horizon",
        )
    if config.horizon is not None and config.label_columns is not None:
        raise ConfigError(
            "'horizon' predicts one column, that of --label-column: leave --label-columns out",
            field="horizon",
        )
    if config.folds in (1, 2):
        raise ConfigError(
            f"'folds' is {config.folds}; allowed: 0, or 3 and more: one to measure, one to "
            "choose the epoch by, and the others to learn from",
            field="folds",
            value=config.folds,
        )
    if config.corpus is not None and config.window is not None:
        raise ConfigError("'window' is for rows of numbers, not for a corpus", field="window")
    if config.task is not None:
        TASKS[config.task].check(config)
