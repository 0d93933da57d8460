"""The child process of `gatelet.runtime.predictor`: opens what it is told, and may die of it.

Not to be imported: it reads one request a line and answers
each with one line: null, or the error.
"""

import contextlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from gatelet.errors import BackendError, BundleDamaged, BundleError, GateletError
from gatelet.runtime.backends.targets import GRAPH_TARGETS
from gatelet.runtime.bundle.opening import Bundle, open_bundle
from gatelet.runtime.bundle.storage import storage_of
from gatelet.runtime.predictor.loading import open_artifact, open_graph
from gatelet.runtime.predictor.predictor import Predictor
from gatelet.runtime.predictor.probe import MEMORY_LIMIT_BYTES

# A grossly wrong artifact, not a little error: that is parity's work.
_FLOAT32_LIMIT = 1e-3
_OTHER_LIMIT = 0.5


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what engines print
    _limit()
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)


def _limit() -> None:
    """Bound the memory, and leave no core file."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = MEMORY_LIMIT_BYTES if hard < 0 else min(hard, MEMORY_LIMIT_BYTES)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _answer(request: dict[str, str]) -> dict[str, str] | None:
    try:
        bundle = open_bundle(Path(request["path"]))
        predictor = _open(bundle, request["target"], request["scheme"])
        _run(predictor, bundle, limit=_limit_of(bundle, predictor))
    except GateletError as error:
        return {"type": type(error).__name__, "error": str(error)}
    except MemoryError:
        return {
            "type": BackendError.__name__,
            "error": f"bundle '{request['path']}' needs more than {MEMORY_LIMIT_BYTES:,} bytes of "
            "memory: do not use it",
        }
    return None


def _limit_of(bundle: Bundle, predictor: Predictor) -> float:
    """Return the limit of what was opened: a wide one where anything is rounded."""
    name = predictor.target, predictor.scheme
    entries = [one.entry for one in bundle.artifacts if (one.target, one.scheme) == name]
    stored = [storage_of(entry) for entry in entries]
    exact = all(one is not None and one.is_exact for one in stored)  # the Graph itself is too
    return _FLOAT32_LIMIT if exact else _OTHER_LIMIT


def _open(bundle: Bundle, target: str, scheme: str) -> Predictor:
    if target in GRAPH_TARGETS:
        return open_graph(bundle, target)
    for artifact in bundle.artifacts:
        if (artifact.target, artifact.scheme) == (target, scheme):
            return open_artifact(bundle, artifact)
    raise BundleError(f"bundle '{bundle.path}' has no artifact {target} {scheme}")


def _run(predictor: Predictor, bundle: Bundle, *, limit: float) -> None:
    """Run the golden vectors, and refuse what is far from them."""
    golden = bundle.golden()
    if golden is None or (predictor.takes_texts and golden.texts is None):
        predictor.warm_up()
        return
    inputs: Any = dict(golden.inputs)
    if not inputs:
        raise BundleDamaged(f"bundle '{bundle.path}' is damaged: its golden vectors have no inputs")
    given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
    found = predictor.scores(golden.texts if predictor.takes_texts else given)
    found = found if isinstance(found, dict) else dict.fromkeys(list(golden.outputs)[:1], found)
    for name, expected in golden.outputs.items():
        distance = _distance(_flat(found.get(name, [])), _flat(expected))
        if not distance <= limit:
            raise BundleDamaged(
                f"bundle '{bundle.path}': its {predictor.target} {predictor.scheme} does not give "
                f"the golden scores, off by {distance:.3g}: do not use it, convert again"
            )


def _flat(rows: Any) -> list[float]:
    values = rows.tolist() if hasattr(rows, "tolist") else rows
    while any(isinstance(value, list) for value in values):
        rows = [value if isinstance(value, list) else [value] for value in values]
        values = [value for row in rows for value in row]
    return list(values)


def _distance(found: list[Any], expected: list[Any]) -> float:
    """Return the largest difference, relative to max(1, |y|); infinity where the two do not fit."""
    if len(found) != len(expected):
        return math.inf
    try:
        pairs = [(float(f), float(e)) for f, e in zip(found, expected, strict=True)]
    except (TypeError, ValueError, OverflowError):
        return math.inf
    return max((_one(f, e) for f, e in pairs), default=0.0)


def _one(found: float, expected: float) -> float:
    if found == expected or (math.isnan(found) and math.isnan(expected)):
        return 0.0
    difference = abs(found - expected) / max(1.0, abs(expected))
    return math.inf if math.isnan(difference) else difference


if __name__ == "__main__":
    main()
