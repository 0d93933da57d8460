"""Golden rows at load: where no verdict covers this machine, an artifact shows first that it works.

Not parity: a few rows, against engines and machines that compute something else altogether. When
they are run: `gatelet.runtime.predictor.coverage`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from itertools import islice

from gatelet.errors import BackendError, BundleDamaged, InputError
from gatelet.runtime.bundle.storage import storage_of
from gatelet.runtime.predictor.coverage import machine_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gatelet.runtime.backends.backend import Backend
    from gatelet.runtime.bundle.opening import Artifact, Golden
    from gatelet.runtime.predictor.predictor import Predictor

BUDGET_S = 0.05
"""What the rows may take, the first one apart."""

EXACT_LIMIT, LARGEST_EXACT_LIMIT = 1e-4, 1e-2
"""Of the spread: the least that float32 may differ by between machines, and the most."""
_FACTOR = 4.0  # of the float32 limit that parity held the golden scores to
TYPICAL_LIMIT, UNKNOWN_LIMIT = 0.1, 0.5
"""Of the spread: what three quarters of the rows of a rounded scheme may differ by from its own
scores at conversion, and from the Graph's, where its own are not in the bundle. The others may tip
over on another machine, where a value lies at a tie."""
_SHARES = {True: 0.01, False: 0.05}
"""Of the largest score: the least that the spread counts for, where nothing is rounded and else."""
_SMALLEST_UNIT = 2.0**-20


def check_golden_rows(predictor: Predictor, backend: Backend, artifact: Artifact) -> None:
    """Run golden rows of an artifact: all, or as many as there is time for.

    Args:
        predictor: Of the artifact.
        backend: What runs it.
        artifact: It is held to what it gave at conversion.

    Raises:
        BackendError: It gives other scores than at conversion, or cannot run them.
        BundleDamaged: The golden vectors are not those of the model.
    """
    golden = predictor.bundle.golden()
    if golden is None:
        return
    reads = getattr(backend, "reads_texts", False) and golden.texts is not None
    try:
        _check(predictor, artifact, golden, of_texts=predictor.takes_texts or bool(reads))
    except (InputError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise BundleDamaged(
            f"bundle '{predictor.bundle.path}': its golden vectors are not those of the model: "
            f"{error}: convert it again"
        ) from error


def _check(predictor: Predictor, artifact: Artifact, golden: Golden, *, of_texts: bool) -> None:
    if of_texts and golden.texts is None:
        return
    storage = storage_of(artifact.entry)
    is_exact = storage is not None and storage.is_exact
    of_graph = [_numbers(row) for row in zip(*golden.outputs.values(), strict=True)]
    own = None if is_exact else artifact.parity.get("golden_scores")
    expected = of_graph if own is None else [_numbers(row) for row in own]
    if len(expected) != len(of_graph):
        raise ValueError("there are not as many scores as rows")
    units = _units(expected, _channels(golden) if is_exact else 1, _SHARES[is_exact])
    differences = [
        _differences(found, right, units)
        for found, right in zip(
            _found(predictor, golden, of_texts=of_texts), expected, strict=False
        )
    ]
    largest = [max(row, default=0.0) for row in differences]
    if not largest:
        return
    limit = _exact_limit(artifact) if is_exact else TYPICAL_LIMIT if own else UNKNOWN_LIMIT
    figure = sorted(largest)[-1 if is_exact else 3 * (len(largest) - 1) // 4]
    if figure <= limit:
        return
    number = largest.index(max(largest))
    row = next(islice(_rows(golden, of_texts=of_texts), number, None))
    got = _numbers(predictor.scores(row))
    at = max(range(len(got)), key=differences[number].__getitem__)
    raise BackendError(
        f"{artifact.target} {artifact.scheme} of bundle '{predictor.bundle.path}' does not compute "
        f"on this machine what it did at conversion: golden row {number + 1} gives {got[at]:.6g}, "
        f"expected {expected[number][at]:.6g} ({predictor.engine}, {machine_here()}; "
        f"{figure:.3g} of the spread, the limit is {limit:.3g}): choose another --target or "
        "--scheme, or another version of the engine",
        target=artifact.target,
        scheme=artifact.scheme,
        row=number,
        expected=expected[number],
        got=got,
        limit=limit,
    )


def _rows(golden: Golden, *, of_texts: bool) -> Iterator[Any]:
    """Yield one row after the other, as `Predictor.scores` takes them."""
    if of_texts:
        yield from ([text] for text in golden.texts or ())
        return
    names = list(golden.inputs)
    for row in zip(*golden.inputs.values(), strict=True):
        yield {n: [one] for n, one in zip(names, row, strict=True)} if len(names) > 1 else [row[0]]


def _found(predictor: Predictor, golden: Golden, *, of_texts: bool) -> Iterator[list[float]]:
    """Yield the scores of rows, each run alone, as long as there is time."""
    started = time.perf_counter()
    for row in _rows(golden, of_texts=of_texts):
        yield _numbers(predictor.scores(row))
        if time.perf_counter() - started > BUDGET_S:
            return


def _numbers(value: Any) -> list[float]:
    """Return the numbers of nested lists, of arrays, or of a dict of them, side by side."""
    if isinstance(value, dict):
        value = tuple(value.values())
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return [number for one in value for number in _numbers(one)]
    if type(value) not in (int, float):
        raise ValueError(f"a score is a {type(value).__name__}")
    return [float(value)]


def _channels(golden: Golden) -> int:
    """Return after how many numbers of a row the same output comes again; 1 where that varies."""
    first = [output[0] if output else [] for output in golden.outputs.values()]
    sizes = []
    for value in first:
        while value and isinstance(value[0], list):
            value = value[0]
        sizes.append(len(value))
    return sizes[0] if len(sizes) == 1 else 1


def _units(rows: Sequence[Sequence[float]], channels: int, share: float) -> list[float]:
    """Return the spread of each channel: what a difference is relative to."""
    found = []
    for channel in range(max(channels, 1)):
        values = [v for row in rows for v in row[channel :: max(channels, 1)] if math.isfinite(v)]
        mean = sum(values) / max(len(values), 1)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / max(len(values), 1))
        found.append(max(spread, share * max(map(abs, values), default=0.0), _SMALLEST_UNIT))
    return found


def _differences(
    found: Sequence[float], expected: Sequence[float], units: Sequence[float]
) -> list[float]:
    if len(found) != len(expected):
        raise ValueError(f"a row has {len(found)} scores, expected {len(expected)}")
    made = []
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        same = one == other or (math.isnan(one) and math.isnan(other))
        difference = 0.0 if same else abs(one - other) / units[place % len(units)]
        made.append(math.inf if math.isnan(difference) else difference)
    return made


def _exact_limit(artifact: Artifact) -> float:
    """Return the limit of what is not rounded: by the one that parity held it to at conversion."""
    checks = artifact.parity.get("checks")
    limits = [
        float(one["limit"])
        for one in (checks if isinstance(checks, list) else ())
        if isinstance(one, dict)
        and one.get("name") == "golden"
        and type(one.get("limit")) in (int, float)
    ]
    return min(max(_FACTOR * max(limits, default=0.0), EXACT_LIMIT), LARGEST_EXACT_LIMIT)
