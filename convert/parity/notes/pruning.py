"""What pruning cost, for a report: artifacts are held to the pruned Graph, which does not show it.

Not the pruning nor the measuring, which is `gatelet.convert.passes.vocabulary`.
"""

import math
from collections.abc import Mapping
from typing import Any


def notes_on_pruning(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a sentence on what a smaller vocabulary cost, as the conversion measured it.

    Args:
        manifest: Of a bundle; an entry of another form than gatelet writes counts as not measured.

    Returns:
        () where nothing was pruned.
    """
    provenance = manifest.get("provenance")
    pruning = provenance.get("pruning") if isinstance(provenance, Mapping) else None
    if not isinstance(pruning, Mapping):
        return ()
    ids = _numbers(pruning, "from", "to")
    said = "the vocabulary was pruned"
    said += f", {ids[0]:,.0f} -> {ids[1]:,.0f} ids" if ids else ""
    return (f"{said}: {_cost(pruning)}; the checks are against the pruned model",)


def _cost(pruning: Mapping[str, Any]) -> str:
    rows = _numbers(pruning, "rows")
    on = f" on {rows[0]:,.0f} rows" if rows else ""
    accuracy = _numbers(pruning, "accuracy_before", "accuracy_after")
    if accuracy:
        ends = _numbers(pruning.get("accuracy_difference"), "low", "high")
        interval = f" ({ends[0]:+.4f} to {ends[1]:+.4f})" if ends else ""
        return f"accuracy {accuracy[0]:.4f} -> {accuracy[1]:.4f}{interval}{on}"
    moved = _numbers(pruning, "mean_difference")
    if moved:
        return f"scores moved by {moved[0]:.3g} on average{on}; accuracy was not measured"
    return "its cost was not measured"


def _numbers(facts: Any, *names: str) -> tuple[float, ...]:
    """Return the facts of these names; () unless each is a finite number."""
    found = [facts.get(name) for name in names] if isinstance(facts, Mapping) else []
    sound = [
        float(one)
        for one in found
        if isinstance(one, int | float)
        and not isinstance(one, bool)
        and abs(one) < 2**63
        and math.isfinite(one)
    ]
    return tuple(sound) if len(sound) == len(names) else ()
