"""`gatelet predict --file x.npz`: a line a row of numbers.

Not steps of a stream: those are in `predict_stream`, which prints in the same way.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from gatelet.cli.show import one_line, print_json, progress
from gatelet.runtime import Prediction, load
from gatelet.runtime.data.arrays import read_arrays
from gatelet.runtime.predictor.prediction import decided


def run_arrays(arguments: argparse.Namespace) -> int:
    """Predict each row of a `.npz`."""
    arrays = read_arrays(Path(arguments.file), require_targets=False).inputs
    predictor = load(
        arguments.bundle,
        target=arguments.target,
        scheme=arguments.scheme,
        max_row_s=arguments.max_row_s,
    )
    progress(f"using {predictor.target} {predictor.scheme} ({predictor.engine})")
    scores = predictor.scores(arrays[0] if len(arrays) == 1 else list(arrays))
    for row in range(len(arrays[0])):
        if isinstance(scores, dict):
            outputs: Any = {name: row_of(one, row) for name, one in scores.items()}
            found = None
        else:
            outputs = row_of(scores, row)
            decides = bool(outputs) and not isinstance(outputs[0], list)
            found = (
                decided(outputs, predictor.labels, threshold=predictor.threshold)
                if decides
                else None
            )
        print_outputs({"row": row}, outputs, found, as_json=arguments.json)
    return 0


def row_of(scores: Any, row: int = 0) -> list[Any]:
    """Return the numbers of a row, from an array or from nested lists."""
    found = scores[row]
    return list(found.tolist() if hasattr(found, "tolist") else found)


def print_outputs(
    line: dict[str, Any], outputs: Any, found: Prediction | None, *, as_json: bool
) -> None:
    """Print a line, at once: whoever reads it may be waiting.

    Args:
        line: What it is about: {"row": 3}, or {"step": 3, "text": "film"}.
        outputs: The model's own, as lists; several by their names.
        found: What was decided; None where nothing is.
        as_json: As one JSON line.
    """
    if as_json:
        if found is not None:
            line = {**line, "label": found.label, "score": found.score, "scores": found.scores}
        print_json({**line, "outputs": outputs})
    else:
        number, *texts = line.values()
        words = [str(number)]
        if found is not None and found.label is not None:
            words += [one_line(found.label), f"{found.score:.6f}"]
        else:
            words += _figures(outputs)
        print("  ".join([*words, *map(one_line, texts)]))
    sys.stdout.flush()


def _figures(outputs: Any) -> list[str]:
    if isinstance(outputs, dict):
        return [f"{one_line(name)} {' '.join(_figures(one))}" for name, one in outputs.items()]
    if isinstance(outputs, list):
        return [part for one in outputs for part in _figures(one)]
    return [f"{outputs:.6g}"]
