"""What parity saw, row by row, for reports that show rows.

Not part of the JSON report, and not kept in a bundle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from gatelet.convert.rows.rows import Rows


@dataclass(frozen=True)
class Measured:
    """Inputs, right answers and answers of N rows; C counts the numbers that a row gives.

    Args:
        texts: The texts behind the rows; () for a model without texts.
        inputs: ids or features of N rows, by graph input.
        truth: The position of each row's label, int64 [N], or a regression's values, float64
            [N, C]; None where the rows have none.
        oracle: The Graph's scores, float64 [N, C]; several outputs side by side.
        keras: Keras' own scores [N, C]; None where it was not asked.
        scores: By (target, scheme), float32 [N, C] of each artifact that ran.
    """

    texts: Sequence[str]
    inputs: Rows
    truth: NDArray[Any] | None
    oracle: NDArray[Any]
    keras: NDArray[Any] | None
    scores: Mapping[tuple[str, str], NDArray[Any]] = field(default_factory=dict)
