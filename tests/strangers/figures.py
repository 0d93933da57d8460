"""Figures of strangers' models by the Keras that wrote each, for fixed seeded inputs.

`python -m tests.strangers.figures DIR` renews figures.json. It needs tf_keras for files of
Keras 2, which nothing else here does: run it in an environment of its own.
"""

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.reading.model_source import open_source
from gatelet.convert.reading.source import SourceModel

FIGURES = Path(__file__).with_name("figures.json")
REFUSED = ("15", "16", "18", "20", "21")
"""Models with a layer that the Graph does not know; 16 lacks the weights of its last layers."""
OPEN_TIMESTEPS = 12
_MOST_NUMBERS = 40
_LONG = 1000

Array = NDArray[Any]


def models_in(folder: Path) -> Iterator[tuple[Path, Path | None]]:
    """Yield each model, and its configuration where that is a file of its own."""
    for path in sorted(folder.iterdir()):
        if path.suffix in (".h5", ".keras"):
            config = path.with_suffix(".config.json")
            yield path, config if config.exists() else None


def seeded_inputs(model: SourceModel, ids: Sequence[int | None]) -> list[Array]:
    """Draw inputs that any NumPy draws again.

    Args:
        model: Whose inputs are drawn.
        ids: For each input, the number of ids that it takes; None for features.
    """
    rng = np.random.Generator(np.random.PCG64(7))
    found: list[Array] = []
    for one, count in zip(model.inputs, ids, strict=True):
        sizes = [size or OPEN_TIMESTEPS for size in one.shape[1:]]
        rows = 1 if max(sizes) > _LONG else 3
        uniform = rng.random((rows, *sizes))
        if count is None:
            found.append((2 * uniform - 1).astype(np.float32))
        else:
            found.append((1 + uniform * (count - 1)).astype(np.int32))
    return found


def ids_of(model: SourceModel) -> list[int | None]:
    """Return the number of ids that each input takes; None for features."""
    found: list[int | None] = []
    for one in model.inputs:
        taking = [model.layers[c.layer] for c in model.calls if one.value in c.inputs]
        sizes = [int(t.config["input_dim"]) for t in taking if t.class_name == "Embedding"]
        found.append(min(sizes) if sizes else None)
    return found


def sampled(outputs: Sequence[Array]) -> list[list[float]]:
    """Return some numbers of each output, spread evenly over it."""
    flat = [np.asarray(one, np.float64).ravel() for one in outputs]
    places = [
        np.linspace(0, len(one) - 1, min(len(one), _MOST_NUMBERS)).astype(int) for one in flat
    ]
    return [one[place].tolist() for one, place in zip(flat, places, strict=True)]


def _figures(path: Path, config: Path | None) -> dict[str, Any]:
    model = open_source(path, config=config).model
    if model.keras_version.startswith("3"):
        keras = importlib.import_module("keras")
    else:
        keras = importlib.import_module("tf_keras")
    if config is None:
        loaded = keras.models.load_model(path, compile=False)
    else:
        loaded = keras.models.model_from_json(config.read_text("utf-8"))
        loaded.load_weights(path)
    inputs = seeded_inputs(model, ids_of(model))
    found = loaded.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    outputs = found if isinstance(found, list) else [found]
    return {"by": f"{keras.__name__} {keras.__version__}", "outputs": sampled(outputs)}


def main() -> None:
    """Write the figures of all models in a folder that the Graph knows."""
    figures = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    for path, config in models_in(Path(sys.argv[1])):
        if path.name[:2] not in REFUSED and path.name not in figures:
            figures[path.name] = _figures(path, config)
            print(path.name, figures[path.name]["by"])
            FIGURES.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
