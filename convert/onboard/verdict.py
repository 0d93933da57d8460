"""What was found out about a c artifact on a device, as the manifest keeps it.

Not the finding out: see `verify.py`.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.schemes import SCHEMES
from gatelet.convert.tolerances import FLOAT32_FLOOR
from gatelet.devices.build import Built
from gatelet.devices.emulators import Outcome
from gatelet.runtime.bundle.opening import Artifact, Bundle

Array = NDArray[Any]

ARCHIVE_ROLE, FIRMWARE_ROLE = "archive:", "firmware:"
"""What companions for a processor and a device are called, before its name."""
LINKED = (
    "compiler",
    "flags",
    "flash_bytes",
    "code_bytes",
    "linked_ram_bytes",
    "scratch_bytes",
    "state_bytes",
)
"""The fields of a verdict that a linked program tells."""

PASS, FAIL, NOT_RUN, TOO_LARGE = "pass", "fail", "not run", "does not fit"


@dataclass(frozen=True)
class Verdict:
    """A verdict for one artifact on one device; docs/bundle.md says what each field means.

    `files` is not among them: the roles of the bundle's files whose bytes were run, or made again,
    with RUN or REGENERATED.
    """

    device: str
    scheme: str
    verdict: str
    note: str = ""
    cpu: str = ""
    on: str = ""
    form: str = ""
    source_sha256: str = ""
    compiler: str = ""
    flags: tuple[str, ...] = ()
    rows: int = 0
    same_bits: int | None = None
    numbers: int | None = None
    largest_difference: float | None = None
    limit: float | None = None
    flash_bytes: int | None = None
    code_bytes: int | None = None
    weights_bytes: int | None = None
    vocabulary_bytes: int | None = None
    linked_ram_bytes: int | None = None
    scratch_bytes: int | None = None
    state_bytes: int | None = None
    stack_bytes: int | None = None
    count: Mapping[str, Any] = field(default_factory=dict)
    when: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    def to_manifest(self) -> dict[str, Any]:
        """Return its entry in the manifest: what is known."""
        found = {**asdict(self), "flags": list(self.flags)}
        del found["scheme"], found["files"]
        known = {key: one for key, one in found.items() if one not in (None, "", [], {})}
        return {**known, "rows": self.rows}


def limit_of(scheme: str) -> float:
    """Return how far scores on a device may be from this machine's, relative to max(1, |y|).

    Integers are the same everywhere; of floats each processor rounds sums in its own order.
    """
    return 0.0 if SCHEMES[scheme].activations != "float32" else FLOAT32_FLOOR


def stored_bytes(bundle: Bundle, artifact: Artifact) -> dict[str, Any]:
    """Return what an artifact stores beside its code: weights, and the tables that read texts."""
    found = {"weights_bytes": artifact.bytes}
    words = artifact.companions.get("vocabulary")
    if words is not None:
        found["vocabulary_bytes"] = next(one.bytes for one in bundle.files if one.path == words)
    return found


def sizes_of(built: Built) -> dict[str, Any]:
    """Return what a linked program takes."""
    return {
        "flash_bytes": built.flash_bytes,
        "code_bytes": built.code_bytes,
        "linked_ram_bytes": built.variable_bytes,
        "scratch_bytes": built.scratch_bytes,
        "state_bytes": built.state_bytes,
    }


def compared(
    outcome: Outcome, expected: Sequence[Array], timesteps: Sequence[int]
) -> dict[str, Any]:
    """Return how a device's scores differ from the expected ones, and what they cost.

    Args:
        outcome: The device's.
        expected: float32 [calls, words] a row, at least as many rows.
        timesteps: Of each row.
    """
    largest, same, numbers = 0.0, 0, 0
    for answer, right in zip(outcome.answers, expected, strict=False):
        bits = np.array(answer.bits, np.uint32)[:, : right.shape[1]]
        made = bits.view(np.float32)
        same += int((bits == right.view(np.uint32)).sum())
        numbers += right.size
        with np.errstate(invalid="ignore"):
            apart = np.abs(made.astype(np.float64) - right) / np.maximum(1, np.abs(right))
        apart[bits == right.view(np.uint32)] = 0
        largest = max(largest, float(np.nan_to_num(apart, nan=np.inf).max(initial=0)))
    count: dict[str, Any] = {}
    if outcome.hello.unit and outcome.answers:
        dearest = max(range(len(outcome.answers)), key=lambda i: outcome.answers[i].count)
        most = outcome.answers[dearest].count
        count = {
            "unit": outcome.hello.unit,
            "row": most,
            "timesteps": timesteps[dearest],
            "timestep": round(most / max(1, timesteps[dearest])),
        }
    return {
        "rows": len(outcome.answers),
        "same_bits": same,
        "numbers": numbers,
        "largest_difference": largest,
        "stack_bytes": outcome.stack_bytes or None,
        "count": count,
    }


def now() -> str:
    """Return the time in UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
