"""Keras' own verdict on a trained model.

Not the verdict on an artifact: that is parity, and `gatelet.runtime` for the scores.
"""

from collections.abc import Sequence
from pathlib import Path

from gatelet.runtime.data import metrics
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.distinct import Distinct
from gatelet.runtime.data.metrics import Metrics
from gatelet.runtime.data.run import Run
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from gatelet.train.model import Network


def keras_scores(
    model: Run | Path, texts: Sequence[str], vectorizer: Vectorizer
) -> list[list[float]]:
    """Let Keras score texts.

    Args:
        model: A run, or a file that Keras saved.
        texts: N texts.
        vectorizer: The one that the model was trained with.

    Returns:
        [N][1] probabilities of the second label, or [N][C].

    Raises:
        BackendMissing: Keras or TensorFlow is not installed.
        InputError: The vectorizer gives ids that the model does not have.
        ModelError: Keras cannot load the file, or it does not take such ids.
    """
    path = model.model_path if isinstance(model, Run) else model
    return Network.load(path).scores([vectorizer.pad(text) for text in texts])


def evaluate_run(run: Run, dataset: Dataset, *, distinct: Distinct | None = None) -> Metrics:
    """Measure a run on labelled texts, with Keras' own scores.

    Args:
        run: The run.
        dataset: One row or more; the run knows all labels.
        distinct: Which rows count for the interval of the accuracy; None for no interval.

    Returns:
        The figures.

    Raises:
        DataError: A label is unknown to the run.
        ModelError: The run cannot be read.
    """
    labels = dataset.label_ids(run.labels)
    scores = keras_scores(run, dataset.texts, run.vectorizer())
    return metrics.evaluate(
        labels, scores, label_names=run.labels, threshold=run.threshold, distinct=distinct
    )
