"""What a conversion says of schemes that it tried and did not keep.

Not the choice among them, which is `gatelet.convert.ladder`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gatelet.convert.parity.report import ArtifactReport, LeftOut

_POINTS = {
    "accuracy_drop": "accuracy",
    "macro_f1_drop": "macro F1",
    "roc_auc_drop": "ROC AUC",
    "brier_rise": "the Brier score",
    "ece_rise": "the calibration error",
}


def left_out_of(manifest: Mapping[str, Any]) -> tuple[LeftOut, ...]:
    """Read what a manifest says of schemes that were left out; of another form, nothing."""
    told = manifest.get("left_out")
    found = []
    for one in told if isinstance(told, list) else []:
        figure = one.get("figure") if isinstance(one, Mapping) else None
        try:
            found.append(LeftOut(**{**one, "figure": float("inf") if figure is None else figure}))
        except TypeError:  # of a newer gatelet
            continue
    return tuple(found)


def notes_on_left_out(
    left_out: Sequence[LeftOut], reports: Sequence[ArtifactReport]
) -> tuple[str, ...]:
    """Return a sentence for each scheme that was left out, with what is kept in its place.

    Args:
        left_out: What was tried.
        reports: Of the artifacts that are kept.
    """
    found = []
    for one in left_out:
        said = f"left out {say_cost(one)}"
        for kept in reports:
            figure = next((c.figure for c in kept.checks if c.name == one.check), None)
            if kept.target == one.target and kept.scheme != "float32" and figure is not None:
                said += f"; {kept.scheme} {_cost(one.check, figure)}"
                break
        found.append(said)
    return tuple(found)


def say_cost(one: LeftOut) -> str:
    """Say what a scheme costs that was left out."""
    name = f"{one.target} {one.scheme}"
    if one.reason:
        return f"{name}: {one.reason}"
    if one.check == "bytes":
        return (
            f"{name}: its file has {one.figure:.0%} of the bytes of float32, which saves less "
            "than a fifth"
        )
    limit = 100 * one.limit if one.check in _POINTS or one.check == "flips" else one.limit
    cost = _cost(one.check, one.figure)
    percent = " %" if one.check == "flips" else ""
    return f"{name}: it {cost} over {one.rows:,} rows, limit {limit:.2g}{percent}"


def _cost(check: str, figure: float) -> str:
    if check in _POINTS:
        return f"costs {100 * figure:.2g} points of {_POINTS[check]}"
    if check == "flips":
        return f"changes {100 * figure:.2g} % of the decisions"
    if check == "spread_p99":
        return f"moves one score in a hundred by {figure:.2g} of their spread or more"
    return f"has {figure:.3g} by the check '{check}'"
