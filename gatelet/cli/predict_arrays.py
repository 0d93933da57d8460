"""`gatelet predict --file x.npz`: a line a row of numbers.

Not steps of a stream: those are in `predict_stream`, which prints in the same way.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from gatelet.cli.show import decision_line, figures, print_json, print_line, progress
from gatelet.runtime import Prediction, Predictor, load
from gatelet.runtime.data.arrays import read_arrays
from gatelet.runtime.terminal import one_line


def run_arrays(arguments: argparse.Namespace) -> int:
    """Predict each row of a `.npz`."""
    arrays = read_arrays(Path(arguments.file), require_targets=False).inputs
    predictor = load(
        arguments.bundle,
        target=arguments.target,
        scheme=arguments.scheme,
        max_row_s=arguments.max_row_s,
    )
    if predictor.note:
        progress(predictor.note)
    progress(f"using {predictor.target} {predictor.scheme} ({predictor.engine})")
    tell_units(predictor)
    given = arrays[0] if len(arrays) == 1 else list(arrays)
    scores = predictor.scores(given)
    found = predictor.decide(scores, given) if _decides(predictor, scores) else None
    outside = predictor.out_of_range_by_row(given)
    for row in range(len(arrays[0])):
        outputs: Any = (
            {name: row_of(one, row) for name, one in scores.items()}
            if isinstance(scores, dict)
            else row_of(scores, row)
        )
        decided = None if found is None else found[row]
        line = {"row": row}
        if outside is not None and arguments.json:
            line["out_of_range"] = outside[row]
        print_outputs(line, outputs, decided, as_json=arguments.json)
    tell_outside(predictor)
    return 0


def tell_outside(predictor: Predictor, where: str = "") -> None:
    """Say how many values lay outside what the artifact was calibrated for, if any did."""
    if predictor.out_of_range:
        from gatelet.runtime.predictor.ranges import say_outside

        name = f"{predictor.target} {predictor.scheme}"
        progress(f"warning: {where}{say_outside(predictor.out_of_range, name)}")


def tell_units(predictor: Predictor) -> None:
    """Say the units of inputs and outputs, where the bundle knows them."""
    scale = predictor.bundle.manifest.get("scale")
    for side, entry in (scale if isinstance(scale, dict) else {}).items():
        units = entry.get("unit") if isinstance(entry, dict) else None
        if units and isinstance(units, list):
            progress(one_line(f"{side} in {', '.join(map(str, units))}"))


def _decides(predictor: Predictor, scores: Any) -> bool:
    if predictor.bundle.decisions:
        return True
    return not isinstance(scores, dict) and not isinstance(row_of(scores)[0], list)


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
            line = {**line, **found.to_dict()}
        print_json(line if "outputs" in line else {**line, "outputs": outputs})
    else:
        number, *texts = line.values()
        words = [str(number)]
        words += figures(outputs) if found is None else [decision_line(found)]
        print_line("  ".join([*words, *map(one_line, texts)]))
    sys.stdout.flush()
