"""What a model says of one row: the label decided for, and scores.

Not the running of models, which is `gatelet.runtime.predictor.predictor`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gatelet.errors import BundleDamaged
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.decision import decide
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.records import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class Prediction:
    """What the model says of one row.

    Args:
        label: The label decided for; None for a model without labels, and where there may be
            several: then see the fields below.
        score: That label's score, or the single output of a model without labels; NaN where
            there may be several labels.
        scores: The score of each label.
        labels: Of a model that may give a row several labels: those decided for, in its order.
        steps: Of a model that decides each timestep: what it says of each real one.
        outputs: Of a model with several outputs: what it says by each that is decided, and the
            numbers of the others.
        numbers: All those of a model without labels that gives several.
    """

    label: str | None
    score: float
    scores: dict[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    steps: tuple[Prediction, ...] | None = None
    outputs: Mapping[str, Any] | None = None
    numbers: tuple[float, ...] = ()

    def __repr__(self) -> str:
        """Return the call that makes it, without what most models leave out."""
        told = {"label": self.label, "score": self.score, "scores": self.scores}
        rest = {name: getattr(self, name) for name in ("labels", "steps", "outputs", "numbers")}
        told |= {name: one for name, one in rest.items() if one not in (None, ())}
        return f"Prediction({', '.join(f'{name}={one!r}' for name, one in told.items())})"

    def to_dict(self) -> dict[str, Any]:
        """Return what `gatelet predict --json` prints of it."""
        if self.outputs is not None:
            return {"outputs": {name: _plain(one) for name, one in self.outputs.items()}}
        if self.steps is not None:
            kept = ("label", "score") if not any(s.labels is not None for s in self.steps) else ()
            every = (one.to_dict() for one in self.steps)
            return {"steps": [{k: one[k] for k in kept or one} for one in every]}
        if self.labels is not None:
            return {"labels": list(self.labels), "scores": self.scores}
        found = {"label": self.label, "score": self.score, "scores": self.scores}
        return {**found, "outputs": list(self.numbers)} if self.numbers else found

    @property
    def decision(self) -> Any:
        """What is decided, as JSON holds it: a label, or a list or an object of them."""
        if self.outputs is not None:
            decided = {k: one for k, one in self.outputs.items() if isinstance(one, Prediction)}
            return {name: one.decision for name, one in decided.items()}
        if self.steps is not None:
            return [one.decision for one in self.steps]
        return self.label if self.labels is None else list(self.labels)


def _plain(found: Any) -> Any:
    return found.to_dict() if isinstance(found, Prediction) else found


def decided_rows(scores: Any, labels: Sequence[str], *, threshold: float) -> list[Prediction]:
    """Decide rows of scores [B, C], or the last timestep of [B, n, C]; as `decided`."""
    rows = scores.tolist() if hasattr(scores, "tolist") else scores
    last = [row[-1] if isinstance(row[0], list) else row for row in rows]
    return [decided(row, labels, threshold=threshold) for row in last]


def decided(row: Sequence[float], labels: Sequence[str], *, threshold: float) -> Prediction:
    """Decide one row.

    Args:
        row: The model's outputs [C].
        labels: In the order of the outputs, two for a single one; () for a model without labels.
        threshold: A single output at or above it means labels[1].

    Raises:
        BundleDamaged: The outputs are not as many as the labels need.
    """
    needed = 2 if len(row) == 1 else len(row)
    if not row or (labels and len(labels) != needed):
        raise BundleDamaged(
            f"the model gives {len(row)} scores a row, its bundle has {len(labels)} labels: "
            "convert it again"
        )
    if not labels:
        return Prediction(None, row[0], numbers=tuple(row) if len(row) > 1 else ())
    index = decide(row, threshold)
    if len(row) == 1:
        scores = {labels[1]: row[0], labels[0]: 1 - row[0]}
    else:
        scores = dict(zip(labels, row, strict=True))
    return Prediction(labels[index], scores[labels[index]], scores)


def several(*, steps: Sequence[Prediction] | None = None, **fields: Any) -> Prediction:
    """Return a prediction that has no one label."""
    return Prediction(None, math.nan, steps=None if steps is None else tuple(steps), **fields)


def check_labels(bundle: Bundle, graph: Graph) -> None:
    """Refuse a bundle whose labels cannot be those of its Graph's output.

    Raises:
        BundleDamaged: They cannot.
    """
    if bundle.decisions:
        from gatelet.runtime.predictor.meanings import check_decisions

        return check_decisions(bundle, graph)
    outputs = graph.shape_of(graph.outputs[0])[-1:]
    expected = 2 if outputs == (1,) else outputs[0] if outputs else None
    if bundle.labels and expected not in (None, len(bundle.labels)):
        raise BundleDamaged(
            f"bundle '{bundle.path}' has {len(bundle.labels)} labels, its model needs {expected}: "
            "convert it again"
        )
    return None
