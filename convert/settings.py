"""What the caller of a conversion may set, validated once: for both routes.

Not the artifacts' schemes: see `gatelet.convert.schemes`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from gatelet.errors import ConfigError
from gatelet.runtime.bundle.decisions import ACTIVATIONS
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.vectorizer.opening import AnyVectorizer

ROUTES = ("graph", "keras")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ConversionSettings:
    """What a conversion is asked for; `gatelet.convert.convert` describes each field.

    Raises:
        ConfigError: The route is not known, or cannot honour a setting. Targets, schemes and
            devices are held to their tables by `gatelet.convert.exporters.choice`.
    """

    targets: Sequence[str] = ()
    schemes: Sequence[str] = ()
    devices: Sequence[str] = ()
    vectorizer: AnyVectorizer | None = None
    data: Dataset | Arrays | None = None
    labels: Sequence[str] | Mapping[str, Sequence[str]] = ()
    multi_label: bool | None = None
    threshold: float | Mapping[str, float] | None = None
    activation: str | Mapping[str, str] | None = None
    strip: bool = False
    stream: bool | None = None
    vocabulary: int | None = None
    golden_texts: bool = True
    with_keras: bool = True
    config: Any = None
    custom_objects: Mapping[str, Any] = field(default_factory=dict)
    scale: Any = ()
    route: str = "graph"
    progress: Progress = lambda text: None

    def __post_init__(self) -> None:
        if self.route not in ROUTES:
            raise ConfigError(f"route '{self.route}' is not known; known are {', '.join(ROUTES)}")
        for one in _values(self.threshold):
            if not 0 <= one <= 1:
                raise ConfigError(f"the threshold is {one:g}, expected a number from 0 to 1")
        for name in _values(self.activation):
            if name not in ACTIVATIONS:
                raise ConfigError(
                    f"activation '{name}' is not known; known are {', '.join(ACTIVATIONS)}"
                )
        if self.route == "keras":
            self._refuse_what_keras_lacks()

    def _refuse_what_keras_lacks(self) -> None:
        """Refuse a setting that the route past the Graph cannot honour, by its name."""
        lacking = (
            (self.devices, "--device", "its C libraries are made from the Graph"),
            (self.vocabulary is not None, "--vocabulary", "words are dropped from the Graph"),
            (self.stream, "--stream", "streaming files are made from the Graph"),
            (not self.with_keras, "--no-keras", "there Keras alone knows what is right"),
            (self.config is not None, "--config", "Keras needs the whole model in one file"),
            (self.scale, "--scale", "scalers become layers of the Graph"),
            (self.custom_objects, "custom_objects", "Keras needs the layers' own code"),
        )
        for given, name, why in lacking:
            if given:
                raise ConfigError(f"the route 'keras' cannot honour {name}: {why}; leave it out")

    @property
    def asks_keras(self) -> bool:
        """Whether Keras is an oracle too: where it is installed, unless it is left out."""
        return self.with_keras and has_keras()


def _values(setting: Any) -> list[Any]:
    """Return the values of a setting that may be given for all, or each by its name."""
    if isinstance(setting, Mapping):
        return list(setting.values())
    return [] if setting is None else [setting]


def has_keras() -> bool:
    """Return whether Keras can be asked here."""
    return find_spec("tensorflow") is not None and find_spec("keras") is not None
