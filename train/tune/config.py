"""What a study is asked for, checked once.

Not the settings of its trials: those are a TrainConfig and a space.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatelet.errors import ConfigError
from gatelet.train.config import TrainConfig
from gatelet.train.model import Network
from gatelet.train.prepare import Prepared
from gatelet.train.tune.costs import check_scheme
from gatelet.train.tune.front import QUALITIES
from gatelet.train.tune.space import Space

AGAINST = ("bytes", "macs", "latency")
ENGINES = ("optuna", "ray")
SCHEME = "dynamic-int8"

Measure = Callable[[Network, Prepared, TrainConfig], float]
"""Makes an artifact of a network, and returns one of its figures."""


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """A search over settings.

    Args:
        base: The recipe, which is trial 0. Its `out` is where the chosen run goes.
        out: The folder of the study.
        space: What varies.
        trials: How many there shall be.
        minutes: No trial begins later; None for no limit.
        budget_bytes: The most bytes of an artifact, of all trials but the first; None for any.
        against: What quality is weighed against.
        quality: What it is, of the validation part.
        scheme: Of the c artifact whose bytes are counted.
        figure: What an epoch tells beside the loss: accuracy, or of values their error.
        engine: 'optuna' trains here, 'ray' on the workers of a cluster.
        workers: Trials at once with ray.
        address: Of a running Ray cluster; None begins one here.
        latency: Measures microseconds, of a network that need not be trained, where they are what
            is weighed against.
        export: Measures the bytes of the artifact of a trained network; None where nobody can.

    Raises:
        ConfigError: A value cannot be used.
    """

    base: TrainConfig
    out: Path
    space: Space
    trials: int = 30
    minutes: float | None = None
    budget_bytes: int | None = None
    against: str = "bytes"
    quality: str = "accuracy"
    figure: str = "accuracy"
    scheme: str = SCHEME
    engine: str = "optuna"
    workers: int = 2
    address: str | None = None
    latency: Measure | None = None
    export: Measure | None = None

    def __post_init__(self) -> None:
        check_scheme(self.scheme)
        for name, known in (("against", AGAINST), ("quality", QUALITIES), ("engine", ENGINES)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"'{name}' is {getattr(self, name)!r}; known: {', '.join(known)}", field=name
                )
        for name, least in (("trials", 1), ("workers", 1), ("budget_bytes", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(
                    f"'{name}' is {value}; allowed: {least:,} or more", field=name, value=value
                )
        if self.minutes is not None and not self.minutes > 0:
            raise ConfigError(f"'minutes' is {self.minutes}; allowed: above 0", field="minutes")
        if self.against == "latency" and self.latency is None:
            raise ConfigError("latencies are to be measured, and nothing measures them")
        if not self.space.names:
            raise ConfigError("nothing varies: every setting of the space is given by a flag")

    @property
    def goals(self) -> dict[str, str | int | None]:
        """What trials are judged by."""
        return {
            "quality": self.quality,
            "against": self.against,
            "scheme": self.scheme,
            "budget_bytes": self.budget_bytes,
        }
