"""What a comparison of two bundles found, as data, and the limits that it is held to.

Not the comparison (`gatelet.convert.diff.compare`), and not the ways to show it.
"""

from dataclasses import asdict, dataclass
from typing import Any

from gatelet.convert.parity.quality.statistics import Interval
from gatelet.convert.parity.report import worst
from gatelet.errors import ConfigError


@dataclass(frozen=True)
class Limits:
    """How much worse the new bundle may be.

    Args:
        max_accuracy_drop: Of labelled rows, a share; without a flag half a point.
        max_error_growth: Of a regression's mean absolute error, a share of the old one.
        max_flips: The largest share of rows decided otherwise; None: a limit only where no labels
            tell which of the two decisions is right, then `UNLABELLED_FLIPS`.
        max_size_growth: Of an artifact's file, a share of the old one.
        atol: The largest difference of a score; None: none, a model trained again differs.

    Raises:
        ConfigError: A limit is below 0.
    """

    max_accuracy_drop: float = 0.005
    max_error_growth: float = 0.05
    max_flips: float | None = None
    max_size_growth: float = 0.1
    atol: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not value >= 0:
                raise ConfigError(f"{name} is {value}: expected a share from 0, such as 0.01")


UNLABELLED_FLIPS = 0.05
"""Without labels, more rows decided otherwise than this are taken as worse."""


@dataclass(frozen=True)
class Finding:
    """One respect in which the new artifact was held to a limit.

    Args:
        name: 'size', 'parity', 'score', 'flips', 'accuracy', 'error', 'there'.
        verdict: 'pass', 'fail' or 'undecided'.
        sentence: What was found, and the limit.
    """

    name: str
    verdict: str
    sentence: str


@dataclass(frozen=True)
class ArtifactDiff:
    """One artifact, or the model itself, in both bundles.

    Args:
        target: The artifact's target; 'reference' is the graph that all artifacts came from.
        scheme: Its scheme.
        bytes: Old and new; None where there is no such file.
        findings: What was held to a limit.
        difference_max: The largest difference of a score; None where they cannot be compared.
        difference_mean: The mean one.
        flips: Share of rows decided otherwise, with its exact interval.
        quality: Old and new: accuracy, or the mean absolute error of a regression.
        change: Of the quality, new less old, with its interval.
        note: Why something could not be compared.
    """

    target: str
    scheme: str
    bytes: tuple[int | None, int | None]
    findings: tuple[Finding, ...] = ()
    difference_max: float | None = None
    difference_mean: float | None = None
    flips: Interval | None = None
    quality: tuple[float, float] | None = None
    change: Interval | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """The worst verdict of its findings; 'not run' where there are none."""
        return worst(finding.verdict for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON carries."""
        return {"verdict": self.verdict, **asdict(self)}


@dataclass(frozen=True)
class BundleDiff:
    """Two bundles over the same rows.

    Args:
        rows: How many inputs were compared.
        source: What they are: 'reviews.csv', 'golden texts of old'.
        metric: What `quality` is: 'accuracy', 'MAE', or '' where there are no labels.
        artifacts: The graph first, then every artifact of either.
        changes: What differs in the making: name, old, new.
    """

    rows: int
    source: str
    metric: str
    artifacts: tuple[ArtifactDiff, ...]
    changes: tuple[tuple[str, str, str], ...]

    @property
    def verdict(self) -> str:
        """The worst verdict of the artifacts; those that could not be run do not count."""
        return worst(one.verdict for one in self.artifacts if one.verdict != "not run")

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON carries."""
        return {
            "verdict": self.verdict,
            "rows": self.rows,
            "source": self.source,
            "metric": self.metric,
            "artifacts": [one.to_dict() for one in self.artifacts],
            "changes": [{"name": name, "old": old, "new": new} for name, old, new in self.changes],
        }
