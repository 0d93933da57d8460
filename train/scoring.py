"""Keras' own verdict on a trained model.

Not the verdict on an artifact: that is parity, and `gatelet.runtime` for the scores.
"""

from collections.abc import Sequence
from pathlib import Path

from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.distinct import Distinct
from gatelet.runtime.data.run import Run
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from gatelet.train.model import Network
from gatelet.train.prepare import inputs_of
from gatelet.train.splitting import targets_of
from gatelet.train.tasks import TASKS, Figures, Rules, measure


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


def evaluate_run(
    run: Run, dataset: Dataset | Arrays, *, distinct: Distinct | None = None
) -> Figures:
    """Measure a run on rows whose answers are known, with Keras' own scores.

    Args:
        run: The run.
        dataset: One row or more of what the run takes; the run knows all labels.
        distinct: Which rows count for the interval; None for no interval.

    Returns:
        The figures of its task.

    Raises:
        DataError: A label is unknown to the run, or values are none that it could give.
        InputError: Features are of another shape than the run takes.
        ModelError: The run cannot be read.
    """
    task, vectorizer = TASKS[run.task], run.vectorizer() if run.takes_texts else None
    network = Network.load(run.model_path)
    targets = targets_of(dataset, task, run.labels, vectorizer, width=network.width)
    scores = network.predict(inputs_of(dataset, vectorizer))
    rules = Rules(run.labels, run.threshold, run.thresholds)
    return measure(task, targets, scores, rules, distinct=distinct)
