"""What parity found, as data.

Not the checks, and not the ways to show a report.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from gatelet.convert.parity.files.verdict import FileVerdict
from gatelet.convert.parity.measured import Measured

_ORDER = ("fail", "undecided", "not run", "pass")


def worst(verdicts: Iterable[str]) -> str:
    """Return the worst of verdicts: fail, undecided, not run, pass; 'not checked' is none."""
    found = set(verdicts)
    return next((verdict for verdict in _ORDER if verdict in found), "not run")


def finite(figures: Mapping[str, float]) -> dict[str, float | None]:
    """Return figures as JSON can hold them: None for NaN and infinity."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}


@dataclass(frozen=True)
class Check:
    """One row of the report.

    Args:
        name: What was checked.
        figure: What was measured; None where it could not be.
        limit: The most that passes; None for a figure that is shown and decides nothing.
        verdict: 'pass', 'fail', 'undecided', 'shown' of a figure without a limit or, where nothing
            could be looked at, 'not checked'. The last two say nothing of the artifact.
        unit: Of the figure: 'score', 'rows', 'texts'.
        interval: The figure's 95 % confidence interval, where it is an estimate.
        note: A sentence on what was seen.
        question: 'computes' (does the file compute what its scheme says?) or 'costs' (what does
            the scheme cost?); '' for a check of the bundle or the model itself.
        by: How the first question was asked: 'steps' or 'whole'.
    """

    name: str
    figure: float | None
    limit: float | None
    verdict: str
    unit: str = "score"
    interval: tuple[float, float] | None = None
    note: str = ""
    question: str = ""
    by: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON carries; it has no infinities."""
        measured = self.figure is not None and math.isfinite(self.figure)
        found: dict[str, Any] = {
            "name": self.name,
            "figure": self.figure if measured else None,
            "limit": self.limit,
            "verdict": self.verdict,
            "unit": self.unit,
        }
        if self.interval is not None:
            found["interval"] = [end if math.isfinite(end) else None for end in self.interval]
        if self.note:
            found["note"] = self.note
        if self.question:
            found["question"] = self.question
        if self.by:
            found["by"] = self.by
        return found


@dataclass(frozen=True)
class LeftOut:
    """A scheme that a conversion tried and did not keep, or could not try.

    Args:
        target: Of the artifact that it would have been.
        scheme: Likewise.
        check: What it was held to: the name of a check, 'bytes' or 'calibration'.
        figure: What was measured.
        limit: The most that would have been kept.
        rows: How many rows were looked at; 0 for a figure that is of none.
        reason: A sentence, where no figure says it: of what was not tried; '' else.
    """

    target: str
    scheme: str
    check: str
    figure: float
    limit: float
    rows: int
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON and the manifest carry."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        if not self.reason:
            del found["reason"]
        return {**found, "figure": self.figure if math.isfinite(self.figure) else None}


@dataclass(frozen=True)
class ArtifactReport:
    """What was found of one artifact.

    Args:
        target: The artifact's target.
        scheme: The artifact's scheme.
        checks: One row each.
        engine: What ran it, with its version.
        note: Why there are no checks, or what went wrong.
        golden_scores: What it gave for the golden inputs, nested lists [N, ...].
        quality: Its figures on labelled rows, by name.
        diagnosis: Sentences on what is to blame, where it missed a limit.
        threshold: The threshold that would fit its scores best, where the rows are labelled and
            it gives one score a row; offered, never applied.
        seconds: That its checks took, by the clock; not in the JSON.
    """

    target: str
    scheme: str
    checks: tuple[Check, ...]
    engine: str = ""
    note: str = ""
    golden_scores: list[Any] | None = None
    quality: Mapping[str, float] = field(default_factory=dict)
    diagnosis: tuple[str, ...] = ()
    threshold: float | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def verdict(self) -> str:
        """The worst verdict of its checks; 'not run' where there are none."""
        return worst(check.verdict for check in self.checks)

    @property
    def costs(self) -> bool:
        """Whether its scheme rounds, and so costs something."""
        return any(check.name == "spread_p99" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON carries; `golden_scores` is for the manifest only."""
        found: dict[str, Any] = {
            "target": self.target,
            "scheme": self.scheme,
            "verdict": self.verdict,
            "engine": self.engine,
            "checks": [check.to_dict() for check in self.checks],
        }
        if self.note:
            found["note"] = self.note
        if self.quality:
            found["quality"] = finite(self.quality)
        if self.threshold is not None:
            found["refitted_threshold"] = self.threshold
        if self.diagnosis:
            found["diagnosis"] = list(self.diagnosis)
        return found

    def to_manifest(self) -> dict[str, Any]:
        """Return the parity entry of the artifact in the manifest."""
        return {**self.to_dict(), "golden_scores": self.golden_scores}


@dataclass(frozen=True)
class ParityReport:
    """All artifacts of a bundle over the same rows.

    Args:
        rows: How many inputs were compared.
        oracles: Against what: 'graph', 'keras 3.15.1'.
        artifacts: One report each.
        measured: What was seen row by row; not in the JSON.
        notes: Sentences on the rows, and on what was lost before the Graph was made.
        quality: The Graph's own figures on labelled rows, by name.
        baseline: The same figures of an answer that needs no model, or, on the test part of a run,
            of what was trained beside it.
        baseline_name: What that is: "always '1'", "TF-IDF with logistic regression".
        warnings: Sentences on a model that is no better than that.
        over: What the rows are: 'test texts', 'made-up rows'.
        made_up: Nobody gave them: what a scheme costs over them is an estimate.
        left_out: Schemes that were tried and not kept.
        files: The verdict of each file.
        distinct_rows: How many of the inputs are no copies of others; None where nobody looked.
    """

    rows: int
    oracles: tuple[str, ...]
    artifacts: tuple[ArtifactReport, ...]
    measured: Measured | None = field(default=None, repr=False, compare=False)
    notes: tuple[str, ...] = ()
    quality: Mapping[str, float] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    baseline_name: str = ""
    warnings: tuple[str, ...] = ()
    over: str = "rows"
    made_up: bool = False
    left_out: tuple[LeftOut, ...] = ()
    files: tuple[FileVerdict, ...] = ()
    distinct_rows: int | None = None

    @property
    def verdict(self) -> str:
        """The worst verdict of artifacts that could be run, and of files; 'not run' of none."""
        found = [one.verdict for one in self.artifacts if one.verdict != "not run"]
        wrong = any(one.verdict == "fail" for one in self.files)
        return worst((*found, *(("fail",) if wrong else ())))

    @property
    def not_run(self) -> tuple[FileVerdict, ...]:
        """The files that were not judged here."""
        return tuple(one for one in self.files if one.verdict == "not run")

    def is_failure(self, *, strict: bool) -> bool:
        """Return whether something is wrong.

        Args:
            strict: What is undecided is wrong, and so are files that were not judged, and a model
                that has learnt nothing.
        """
        unsure = self.verdict == "undecided" or bool(self.warnings) or bool(self.not_run)
        return self.verdict == "fail" or (strict and unsure)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON carries."""
        return {
            "verdict": self.verdict,
            "rows": self.rows,
            "distinct_rows": self.rows if self.distinct_rows is None else self.distinct_rows,
            "over": self.over,
            "made_up": self.made_up,
            "oracles": list(self.oracles),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "quality": finite(self.quality),
            "baseline": {"name": self.baseline_name, **finite(self.baseline)},
            "left_out": [one.to_dict() for one in self.left_out],
            "artifacts": [one.to_dict() for one in self.artifacts],
            "files": [one.to_dict() for one in self.files],
        }
