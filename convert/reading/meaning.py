"""What a model's outputs mean: what the file says of them, held against what the caller says.

Not the rules themselves, which are `Decision`s of the runtime, and not how an output ends: whoever
calls knows that from a Graph, or from Keras.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gatelet.convert.settings import ConversionSettings
from gatelet.errors import ConfigError
from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.graph.graph import Shape

_LOSSES = {
    "binarycrossentropy": "sigmoid",
    "binaryfocalcrossentropy": "sigmoid",
    "categoricalcrossentropy": "softmax",
    "categoricalfocalcrossentropy": "softmax",
    "sparsecategoricalcrossentropy": "softmax",
}
"""What turns the logits of a loss into scores, by its name without underscores."""

_SIGMOIDS = ("sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "sparse_sigmoid")
_ONE_OF_ALL = ("softmax", "sparsemax", "log_softmax")
_ENDINGS = {**dict.fromkeys((*_SIGMOIDS, *_ONE_OF_ALL), "none"), "log_softmax": "softmax"}
"""What is still to be applied to an output that ends so; others are logits, or anything else."""


@dataclass(frozen=True)
class Trained:
    """What a loss of the file's compile config says of an output.

    Args:
        activation: 'sigmoid', 'softmax' or, of what is no logit, 'none'.
        told: The loss, in Keras' words.
    """

    activation: str
    told: str


@dataclass(frozen=True)
class Output:
    """An output of a model.

    Args:
        name: As `Predictor.scores` gives it.
        layer: The layer that makes it, as the user named it.
        shape: [B, C], or [B, T, C] where each timestep has scores.
        ending: The activation that it ends in; '' or 'linear' for none.
        trained: What the file says of it.
    """

    name: str
    layer: str
    shape: Shape
    ending: str
    trained: Trained | None = None

    @property
    def where(self) -> str:
        """What to call it in messages."""
        ends = f"ends in {self.ending}" if self.ending not in ("", "linear") else "is linear"
        return f"the output '{self.layer or self.name}' {ends}"


@dataclass(frozen=True)
class Meaning:
    """What a manifest says of the outputs.

    Args:
        labels: Of the first output; () of a regression.
        threshold: Of a single score of it.
        decisions: What labels and threshold alone do not say; () where they do.
    """

    labels: tuple[str, ...]
    threshold: float
    decisions: tuple[Decision, ...] = ()


def trained_by(loss: Any, layers: Sequence[str]) -> list[Trained | None]:
    """Read what a compile config says of each output.

    Args:
        loss: Its entry 'loss': of one output, or of all by their layers' names or in order.
        layers: The layer of each output.
    """
    if isinstance(loss, Mapping) and "class_name" not in loss:
        return [_trained(loss.get(name)) for name in layers]
    if isinstance(loss, list) and len(loss) == len(layers):
        return [_trained(one) for one in loss]
    return [_trained(loss)] * len(layers)


def _trained(loss: Any) -> Trained | None:
    """Read one loss; a mere name, as older files have it, does not say whether it takes logits."""
    if not isinstance(loss, Mapping):
        return None
    name, config = str(loss.get("class_name")), loss.get("config")
    activation = _LOSSES.get(name.replace("_", "").lower())
    from_logits = config.get("from_logits") if isinstance(config, Mapping) else None
    if activation is None or not isinstance(from_logits, bool):
        return None
    return Trained(activation if from_logits else "none", f"{name}(from_logits={from_logits})")


def told(one: Output) -> str:
    """Say how an output is decided, if labels are given."""
    if one.ending in _SIGMOIDS and one.shape[-1] != 1:
        return f"{one.where}: with labels, --multi-label says whether a row may have several"
    if one.ending in _ENDINGS:
        return one.where
    if one.trained is None:
        return f"{one.where}: what labels mean must be said with --activation"
    applied = one.trained.activation
    how = "as it is" if applied == "none" else f"after {applied}"
    return f"{one.where}, trained with {one.trained.told}: with labels it is decided {how}"


def meaning_of(
    outputs: Sequence[Output],
    settings: ConversionSettings,
    *,
    labels: Sequence[str] = (),
    threshold: float = 0.5,
) -> Meaning:
    """Say what each output means.

    Args:
        outputs: Of the model.
        settings: What the caller says: labels, thresholds, activation, several labels or one.
        labels: Of the run, for the first output, unless the caller names some.
        threshold: Of the run.

    Raises:
        ConfigError: The labels are not those of the scores, the file does not say what a score
            means, the caller contradicts it, or a threshold is for no score.
    """
    asked = _Asked(settings, outputs, labels, threshold)
    made = [(asked.labels_of(one), one) for one in outputs]
    decided = [asked.decide(one, named) for named, one in made if named]
    asked.refuse_unused()
    decisions = tuple(one for one in decided if one is not None)
    first = next((one for one in decisions if one.output == outputs[0].name), None)
    single = first.thresholds[0] if first and len(first.thresholds) == 1 else threshold
    plain = len(outputs) == 1 and all(_is_plain(one) for one in decisions)
    return Meaning(made[0][0], single, () if plain else decisions)


def with_sets(
    settings: ConversionSettings, labels: Sequence[str], thresholds: Sequence[float]
) -> ConversionSettings:
    """Return settings with what a run says of rows with several labels, where the caller does not.

    Args:
        settings: Of the caller.
        labels: Of the run.
        thresholds: One a label; () of a run whose rows have one.
    """
    if not thresholds or settings.labels or settings.multi_label is False:
        return settings
    told = dict(zip(labels, thresholds, strict=True))
    given = settings.threshold
    asked = given if isinstance(given, Mapping) else {}
    one = {} if given is None or isinstance(given, Mapping) else dict.fromkeys(labels, given)
    return replace(settings, multi_label=True, threshold={**told, **one, **asked})


def _is_plain(one: Decision) -> bool:
    """Return whether labels and a threshold say it all, as in format 1."""
    return one.activation == "none" and not one.multi_label and not one.steps


class _Asked:
    """What the caller asks for, and what of it has served."""

    def __init__(
        self,
        settings: ConversionSettings,
        outputs: Sequence[Output],
        labels: Sequence[str],
        threshold: float,
    ) -> None:
        self.multi_label = settings.multi_label
        self.threshold = settings.threshold
        self._default = threshold
        self._outputs = outputs
        given = settings.labels or labels
        self._labels = _by_output(given, outputs, "labels", first_only=True)
        self._activation = _by_output(settings.activation, outputs, "activation")
        self._takes: list[str] = []
        self._several = False

    def labels_of(self, one: Output) -> tuple[str, ...]:
        """Return the labels that were given, else numbers for the classes of a classifier."""
        scores = one.shape[-1] if len(one.shape) > 1 else None
        given = tuple(self._labels.get(one.name, ()))
        if given and scores is not None:
            expected = max(2, scores)
            if len(given) != expected or len(set(given)) < expected:
                raise ConfigError(
                    f"the labels are {', '.join(given)}: the model gives {scores} scores a row, so "
                    f"name {expected} different labels"
                )
        if given or len(one.shape) != 2 or scores is None:
            return given
        is_class = one.ending == "softmax" or (one.ending == "sigmoid" and scores == 1)
        is_class |= self._activation.get(one.name, "none") != "none"
        is_class |= bool(self.multi_label) and one.ending in _SIGMOIDS
        return tuple(str(index) for index in range(max(2, scores))) if is_class else ()

    def decide(self, one: Output, labels: tuple[str, ...]) -> Decision | None:
        """Return the rule of an output with labels; None for what is no row of scores."""
        if len(one.shape) not in (2, 3) or one.shape[-1] is None:
            return None
        activation, reason = self._activation_of(one)
        single, one_of_all = one.shape[-1] == 1, one.ending in _ONE_OF_ALL
        if activation == "softmax" and single:
            raise ConfigError(
                f"{one.where} with one score, of which softmax makes 1 whatever it is: give "
                "--activation sigmoid or none"
            )
        one_of_all |= activation == "softmax"
        several = self._is_several(one, activation, one_of_all=one_of_all)
        thresholds: tuple[float, ...] = ()
        if several:
            thresholds = tuple(self._threshold_of(label) for label in labels)
        elif single:
            thresholds = (self._threshold_of(labels[1]),)
        return Decision(
            output=one.name,
            labels=labels,
            activation=activation,
            thresholds=thresholds,
            multi_label=several,
            steps=len(one.shape) == 3,
            reason=reason,
        )

    def _activation_of(self, one: Output) -> tuple[str, str]:
        """Return what is applied to an output, and where that is known from."""
        asked, trained = self._activation.get(one.name), one.trained
        known = _ENDINGS.get(one.ending)
        if known is not None:
            answer, reason = known, f"the model ends in {one.ending}"
        elif trained is not None:
            answer, reason = trained.activation, f"the file was trained with {trained.told}"
        elif asked is not None:
            return asked, "the caller said so"
        else:
            raise ConfigError(
                f"{one.where}, and the file does not say what its scores mean (its compile config "
                "has no loss with from_logits): give --activation sigmoid, softmax or none with "
                "the labels"
            )
        if asked not in (None, answer):
            raise ConfigError(
                f"--activation {asked} contradicts the model: {one.where} and {reason}, so "
                f"'{answer}' is to be applied: leave it out"
            )
        return answer, reason

    def _is_several(self, one: Output, activation: str, *, one_of_all: bool) -> bool:
        single = one.shape[-1] == 1
        sigmoids = not single and (activation == "sigmoid" or one.ending in _SIGMOIDS)
        if sigmoids and self.multi_label is None:
            raise ConfigError(
                f"{one.where} with {one.shape[-1]} scores that do not exclude each other: give "
                "--multi-label if a row may have several labels, --no-multi-label if the largest "
                "score alone decides"
            )
        found = bool(self.multi_label) and not one_of_all and not single
        self._several |= found
        return found

    def _threshold_of(self, label: str) -> float:
        self._takes.append(label)
        if isinstance(self.threshold, Mapping):
            return float(self.threshold.get(label, self._default))
        return self._default if self.threshold is None else float(self.threshold)

    def refuse_unused(self) -> None:
        """Refuse what was asked for and fits no output."""
        if self.multi_label and not self._several:
            raise ConfigError(
                "--multi-label is for several scores that do not exclude each other: this model "
                "has one score, a softmax or no labels; leave it out"
            )
        named = self.threshold if isinstance(self.threshold, Mapping) else {}
        unknown = next((label for label in named if label not in self._takes), None)
        if unknown is not None and self._takes:
            raise ConfigError(
                f"--threshold names the label '{unknown}', which has none; those that have are "
                f"{', '.join(self._takes)}"
            )
        if self.threshold is not None and not self._takes:
            raise ConfigError(
                "--threshold is for a single score, or for several labels a row: this model "
                "chooses the largest score, or has no labels; leave it out"
            )


def _by_output(
    given: Any, outputs: Sequence[Output], what: str, *, first_only: bool = False
) -> dict[str, Any]:
    """Return what was given for each output: by its name or layer, else for the first or all."""
    if not given:
        return {}
    if not isinstance(given, Mapping):
        return {one.name: given for one in (outputs[:1] if first_only else outputs)}
    names = {alias: one.name for one in outputs for alias in (one.layer, one.name)}
    unknown = next((name for name in given if name not in names), None)
    if unknown is not None:
        raise ConfigError(
            f"--{what} names the output '{unknown}': the model has {', '.join(_told(outputs))}"
        )
    return {names[name]: value for name, value in given.items()}


def _told(outputs: Sequence[Output]) -> Iterator[str]:
    for one in outputs:
        yield f"'{one.layer}'" if one.layer else f"'{one.name}'"
