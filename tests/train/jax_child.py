"""Takes a step of each task on the backend that the environment names; see test_jax.py."""

import sys
from typing import Any

import numpy as np

from gatelet.train.jax_steps import JaxSteps
from gatelet.train.model import import_keras
from gatelet.train.steps import Steps
from gatelet.train.tasks import TASKS, Task

ROWS, TIMESTEPS, FEATURES, LABELS, RATE = 5, 4, 3, 3, 0.25


def model_of(task: Task) -> Any:
    """Return a small model of features with seeded weights."""
    keras = import_keras()
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((TIMESTEPS, FEATURES)),
            layers.GRU(4, return_sequences=task.steps),
            layers.Dense(task.width(LABELS), activation=task.activation),
        ]
    )
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=one.shape) * 0.5 for one in model.get_weights()])
    return model


def targets_of(task: Task) -> Any:
    """Return what is right: numbers of labels, of each timestep with padding, sets, or values."""
    rng = np.random.default_rng(4)
    if not task.labelled:
        return rng.normal(size=(ROWS, LABELS)).astype(np.float32)
    if task.name == "multi-label":
        return rng.integers(0, 2, (ROWS, LABELS)).astype(np.float32)
    shape = (ROWS, TIMESTEPS) if task.steps else (ROWS,)
    found = rng.integers(0, 2 if task.is_single else LABELS, shape).astype(np.int32)
    if task.steps:
        found[:, 0] = -1
    return found


def step_of(task: Task, *, weighted: bool, smoothing: float) -> list[Any]:
    """Return weights and averages after a step of plain descent, its loss and its figure."""
    keras, model = import_keras(), model_of(task)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    averages = [keras.Variable(one, trainable=False) for one in model.weights]
    given: dict[str, Any] = {"task": task, "weighted": weighted, "label_smoothing": smoothing}
    steps: Steps | JaxSteps
    if keras.backend.backend() == "jax":  # the batch is filled up to 8 rows
        steps = JaxSteps(model, optimizer, averages, batch_size=8, **given)
    else:
        steps = Steps(model, optimizer, averages, features=True, **given)
    inputs = np.random.default_rng(5).normal(size=(ROWS, TIMESTEPS, FEATURES)).astype(np.float32)
    targets, weights = targets_of(task), None
    if steps.weighted:
        shape = targets.shape if task.steps or task.name == "multi-label" else (ROWS,)
        weights = np.random.default_rng(6).uniform(0.5, 2, shape).astype(np.float32)
        weights = np.where(targets == -1, np.float32(0), weights) if task.steps else weights
    told = steps.learn(inputs, targets, RATE, weights)
    scores = steps.score(inputs)
    return [*model.get_weights(), *map(np.asarray, averages), np.array(told), scores]


if __name__ == "__main__":
    made = {
        f"{task.name} {weighted} {smoothing} {place}": one
        for task in TASKS.values()
        for weighted, smoothing in ((False, 0.0), (task.labelled, 0.2 * task.labelled))
        for place, one in enumerate(step_of(task, weighted=weighted, smoothing=smoothing))
    }
    np.savez(sys.argv[1], **made)
