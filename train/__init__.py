"""Training: labelled texts in, a run directory out.

Importing this package loads no engine; `train` imports Keras when it is called.
"""

from gatelet.train.config import TrainConfig, settings
from gatelet.train.fit import train
from gatelet.train.scoring import evaluate_run, keras_scores
from gatelet.train.settings import Setting

__all__ = ["Setting", "TrainConfig", "evaluate_run", "keras_scores", "settings", "train"]
