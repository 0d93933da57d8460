"""The ladder: of each target, the smallest scheme that is good enough on the judged rows.

Not for schemes that somebody named: those are made and judged, and none takes another's place.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.exporters.artifacts import export_all, with_stream
from gatelet.convert.exporters.choice import WHOLE, Choice
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.stored_bytes import file_bytes
from gatelet.convert.gates.gates import check_made
from gatelet.convert.parity.case import as_texts, run_rows
from gatelet.convert.parity.costs import costs_of, too_costly
from gatelet.convert.parity.limits import Settings, bounds_of
from gatelet.convert.parity.notes.left_out import say_cost
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.parity.report import Check, LeftOut
from gatelet.convert.rows.given import needs_calibration
from gatelet.convert.schemes import Scheme
from gatelet.convert.settings import Progress
from gatelet.convert.tolerances import SMALLER, TOLERANCES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import BackendError, Refused
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.predictor.loading import open_artifact

Named = tuple[str, Scheme]

CALIBRATION = "calibration"
"""The check of what was left out, as nobody gave rows that could calibrate it."""


@dataclass(frozen=True)
class Making:
    """What makes artifacts.

    Args:
        writer: Collects them.
        model: What is exported.
        worker: Where exporters run that can crash.
        optional: A target without a compiler is left out.
        progress: Called with what is being done.
        what_fits: What would get the model wrong is left out too.
    """

    writer: BundleWriter
    model: Exportable
    worker: Worker
    optional: bool
    progress: Progress
    what_fits: bool = False

    def make(self, chosen: Sequence[Named]) -> None:
        """Export artifacts, hold their files to the gates, and add them to the bundle."""
        made = export_all(
            self.model,
            chosen,
            self.worker,
            optional=self.optional,
            what_fits=self.what_fits,
            progress=self.progress,
        )
        check_made(made, self.model)
        for one in made:
            self.writer.add_exported(one.target, one.scheme.name, one.suffix, with_stream(one))


def leave_uncalibrated(
    choice: Choice, unknown: Sequence[str], *, progress: Progress
) -> tuple[Choice, tuple[LeftOut, ...]]:
    """Leave out what would be calibrated on made-up rows, of inputs whose range nobody knows.

    Args:
        choice: What is to be made.
        unknown: Those inputs; () where rows are given, or the model tells their range.
        progress: Told what is left out.

    Returns:
        What is made, and what is not.

    Raises:
        Refused: What is left out was asked for by name, or nothing else is made.
    """
    refused = [one for one in choice.artifacts if unknown and needs_calibration((one,))]
    if not refused:
        return choice, ()
    why = (
        "its integers need the range of what the model is fed, and the model does not say that "
        f"of {' and '.join(map(repr, unknown))}: give rows of your own with --data ROWS"
    )
    target, scheme = refused[0]
    kept = tuple(one for one in choice.artifacts if one not in refused)
    if not kept or choice.all_named:
        raise Refused(f"{target} {scheme.name}: {why}", target=target)
    left_out = tuple(
        LeftOut(target, scheme.name, CALIBRATION, math.inf, 0.0, 0, why)
        for target, scheme in refused
    )
    for one in left_out:
        progress(f"leaving out {say_cost(one)}")
    return replace(choice, artifacts=kept), left_out


def climb(making: Making, rungs: Sequence[Named], oracle: Oracle) -> tuple[LeftOut, ...]:
    """Make of each target the smallest rung that is good enough.

    Args:
        making: Has made what each target has besides.
        rungs: Targets and schemes to try.
        oracle: The judged rows, and what is right for them.

    Returns:
        What was tried and is not kept.
    """
    writer = making.writer
    whole = {a["target"]: a["bytes"] for a in writer.artifacts if a["scheme"] == WHOLE}
    order = list(dict.fromkeys(a["target"] for a in writer.artifacts))
    left_out: list[LeftOut] = []
    for target, size in whole.items():
        mine = [scheme for one, scheme in rungs if one == target]
        for scheme in sorted(mine, key=lambda one: _expected_bytes(making.model, target, one)):
            making.make([(target, scheme)])
            found = _fault(making, target, scheme, oracle, whole=size)
            if found is None:
                break
            making.progress(f"left out {say_cost(found)}")
            writer.remove(target, scheme.name)
            left_out.append(found)
            if found.check == "bytes":  # those above it are larger
                break
    writer.artifacts.sort(key=lambda one: order.index(one["target"]))
    return tuple(left_out)


def _expected_bytes(model: Exportable, target: str, scheme: Scheme) -> int:
    return file_bytes(model.skipping, target, scheme, vectorizer=model.vectorizer)


def _fault(
    making: Making, target: str, scheme: Scheme, oracle: Oracle, *, whole: int
) -> LeftOut | None:
    """Say why the artifact that was made last is not kept; None where it is good enough."""
    entry = making.writer.artifacts[-1]
    share = entry["bytes"] / whole
    if share > SMALLER:
        return LeftOut(target, scheme.name, "bytes", share, SMALLER, 0)
    making.progress(f"estimating what {target} {scheme.name} costs")
    checks = _costs(making.writer.draft(), target, scheme.name, oracle)
    return too_costly(target, scheme.name, checks, len(oracle.evidence.kept))


def _costs(bundle: Bundle, target: str, scheme: str, oracle: Oracle) -> list[Check]:
    """Return the figures of an artifact; none where it cannot be run here, as parity tells."""
    artifact = next(a for a in bundle.artifacts if (a.target, a.scheme) == (target, scheme))
    limits = TOLERANCES[target, scheme]
    bounds = bounds_of(limits, Settings(), exact=oracle.float32_limit, made_up=oracle.made_up)
    try:
        predictor = open_artifact(bundle, artifact)
        if predictor.takes_texts and not oracle.texts:
            return []
        inputs = as_texts(oracle) if predictor.takes_texts else oracle.inputs
        found = run_rows(predictor, inputs)
    except BackendError:
        return []
    return costs_of(bundle, oracle, found, bounds)
