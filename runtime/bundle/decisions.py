"""What the outputs of a model mean: labels, the activation that comes first, thresholds.

Only of bundles of format 2; those of format 1 have labels and a threshold alone, and the rule of
`gatelet.runtime.decision`. The format is described in docs/bundle.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gatelet.runtime.decision import decide
from gatelet.runtime.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ACTIVATIONS = ("sigmoid", "softmax", "none")


@dataclass(frozen=True)
class Decision:
    """What the scores of one output mean.

    Args:
        output: Its name, as `Predictor.scores` gives it.
        labels: In the order of the scores; two of a single one, which is that of the second.
        activation: What turns the model's own numbers into scores: one of `ACTIVATIONS`.
        thresholds: One of a single score, one a label where a row has several; else none.
        multi_label: A row may have any number of labels.
        steps: Each timestep is decided.
        reason: Where that is known from, for people.
    """

    output: str
    labels: tuple[str, ...]
    activation: str = "none"
    thresholds: tuple[float, ...] = ()
    multi_label: bool = False
    steps: bool = False
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ValueError: It does not.
        """
        count = len(self.labels)
        expected = (count,) if self.multi_label else (0, 1) if count == 2 else (0,)
        where = f"the decision of '{self.output}'"
        if count < 2 or len(set(self.labels)) != count:
            raise ValueError(f"{where} has {count} labels, expected two or more, each once")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"{where} has the activation '{self.activation}', expected one of "
                f"{', '.join(ACTIVATIONS)}"
            )
        if len(self.thresholds) not in expected:
            raise ValueError(f"{where} has {len(self.thresholds)} thresholds for {count} labels")
        if not all(0 <= one <= 1 for one in self.thresholds):
            raise ValueError(f"{where} has a threshold outside 0 to 1")
        if self.activation == "softmax" and self.thresholds:
            raise ValueError(f"{where} has a threshold, and softmax scores have none")

    @property
    def width(self) -> int:
        """How many scores it takes a row, or a timestep."""
        return 1 if len(self.thresholds) == 1 else len(self.labels)

    def __str__(self) -> str:
        """Say it in one line."""
        how = "any of" if self.multi_label else "one of"
        thresholds = ", ".join(f"{one:g}" for one in self.thresholds)
        said = [
            f"'{self.output}'{', each timestep' if self.steps else ''}: {how} "
            f"{', '.join(self.labels)}",
            *([f"after {self.activation}"] if self.activation != "none" else []),
            *([f"from {thresholds} on"] if thresholds else ["the largest score"]),
        ]
        return "; ".join([*said, *([f"since {self.reason}"] if self.reason else [])])

    def scores_of(self, row: Sequence[float]) -> list[float]:
        """Turn the model's own numbers into scores: of each label, or a single one."""
        if self.activation == "sigmoid":
            return [_sigmoid(x) for x in row]
        return _softmax(row) if self.activation == "softmax" else list(row)

    def by_label(self, scores: Sequence[float]) -> dict[str, float]:
        """Name scores by their labels; a single one is that of the second."""
        if len(scores) == 1:
            return {self.labels[1]: scores[0], self.labels[0]: 1 - scores[0]}
        return dict(zip(self.labels, scores, strict=True))

    def chosen(self, scores: Sequence[float]) -> tuple[int, ...]:
        """Choose labels by scores, as `scores_of` gives them: their numbers, in order."""
        if self.multi_label:
            pairs = zip(scores, self.thresholds, strict=True)
            return tuple(at for at, (score, threshold) in enumerate(pairs) if score >= threshold)
        return (decide(scores, self.thresholds[0] if self.thresholds else 0.5),)

    def to_json(self) -> dict[str, Any]:
        """Return its entry in the manifest."""
        return {
            "output": self.output,
            "labels": list(self.labels),
            "activation": self.activation,
            "thresholds": list(self.thresholds),
            "multi_label": self.multi_label,
            "steps": self.steps,
            "reason": self.reason,
        }


def parse_decisions(found: Sequence[Mapping[str, Any]]) -> tuple[Decision, ...]:
    """Read the manifest's 'decisions'.

    Raises:
        ValueError: A field is missing, or has a value that it cannot have.
    """
    from gatelet.runtime.bundle.manifest import take, take_texts

    made = []
    for entry in found:
        for one in take(entry, "thresholds", list):
            take({"thresholds": one}, "thresholds", float, int)
        made.append(
            Decision(
                output=take(entry, "output", str),
                labels=take_texts(entry, "labels"),
                activation=take(entry, "activation", str),
                thresholds=tuple(map(float, entry["thresholds"])),
                multi_label=take(entry, "multi_label", bool),
                steps=take(entry, "steps", bool),
                reason=take(entry, "reason", str, default=""),
            )
        )
    names = [one.output for one in made]
    if not made or len(set(names)) != len(names):
        raise ValueError("'decisions' has no entry, or two of one output")
    return tuple(made)


def _sigmoid(x: float) -> float:
    """Source: both forms are the logistic function; each is used where e^x cannot overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x)) if x < 0 else x


def _softmax(row: Sequence[float]) -> list[float]:
    largest = max(row)
    if not math.isfinite(largest):
        return [math.nan] * len(row)
    powers = [math.exp(x - largest) for x in row]
    return [one / sum(powers) for one in powers]
