"""Tuning: a search over the settings of a training, judged on the validation part alone.

Importing this package loads no engine; `tune` imports Keras and Optuna when it is called.
"""

from gatelet.train.tune.config import TuneConfig
from gatelet.train.tune.results import Point, Result
from gatelet.train.tune.search import tune
from gatelet.train.tune.space import Space, default_space, read_space

__all__ = ["Point", "Result", "Space", "TuneConfig", "default_space", "read_space", "tune"]
