"""Scalers that stood outside a model: raw units in, raw units out, as layers of the model itself.

Not the layers Normalization and Rescaling of a model's own, which are lowered as they stand.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.reading.pickle_source import is_compressed, is_pickle
from gatelet.convert.reading.pickled_classes import PickledArray, PickledObject
from gatelet.convert.reading.pickles import read_pickle
from gatelet.convert.reading.source import SourceCall, SourceLayer, SourceModel
from gatelet.errors import ConfigError, ModelError

_LEAST_STEPS = 4  # of float32, that a standard deviation must have
SIDES = ("inputs", "outputs")
_SUBTRACTED = {"standard": "mean", "minmax": "min"}
_FORM = (
    '{"inputs": {"kind": "standard", "mean": [...], "scale": [...], "unit": [...]}, "outputs": '
    '{...}}, where "minmax" has "min" for "mean", or a scikit-learn scaler'
)

Array = NDArray[Any]


@dataclass(frozen=True)
class Scaler:
    """(x - offset) / spread, feature by feature.

    Args:
        kind: 'standard' or 'minmax'.
        offset: float64 [F] or [1], for all features: the mean, or the least value.
        spread: Likewise: the standard deviation, or the range. Never 0.
        unit: Of each feature; () where nobody says.
    """

    kind: str
    offset: tuple[float, ...]
    spread: tuple[float, ...]
    unit: tuple[str, ...] = ()

    def scaled(self, values: Array) -> Array:
        """Return raw values [..., F] as the model takes them: subtracted, then multiplied."""
        raw = values.astype(np.float64)
        return np.asarray((raw - np.array(self.offset)) * (1 / np.array(self.spread)))

    def raw(self, values: Array) -> Array:
        """Return what a model gives [..., F] in raw units."""
        return np.asarray(values.astype(np.float64) * self.spread + np.array(self.offset))

    def to_json(self) -> dict[str, Any]:
        """Return the entry that `scaling_of` reads, with what every scaler has."""
        name = _SUBTRACTED[self.kind]
        numbers = {name: list(self.offset), "scale": list(self.spread)}
        return {"kind": self.kind, **numbers, "unit": list(self.unit)}


Scaling = Mapping[str, Scaler]
"""By side: 'inputs', 'outputs' or both."""


def read_scaling(given: Sequence[str]) -> Scaling:
    """Read files of scalers.

    Args:
        given: Paths of JSON files, or of pickles of scikit-learn's scalers, which are those of the
            inputs unless 'outputs=' stands before the path.

    Raises:
        ConfigError: A side is given twice.
        ModelError: A file cannot be read, or holds no scaler.
    """
    found: dict[str, Scaler] = {}
    for text in given:
        side, equals, name = text.partition("=")
        path = Path(name if equals and side in SIDES else text)
        read = _read(path, side if equals and side in SIDES else "")
        for one in read.keys() & found.keys():
            raise ConfigError(f"--scale gives the scaler of the {one} twice; leave one out")
        found |= read
    return found


def _read(path: Path, side: str) -> Scaling:
    where = f"the scaler file '{path}'"
    try:
        with path.open("rb") as file:
            head = file.read(8)
        if is_pickle(head) or is_compressed(head) or head[:1] in (b"(", b"c"):
            return {side or "inputs": _of_sklearn(read_pickle(path), where)}
        content = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"{where} cannot be read: {said}; expected {_FORM}") from error
    found = scaling_of(content, where)
    if side and found.keys() != {side}:
        raise ModelError(f"{where} holds the scaler of the {' and '.join(found)}, not the {side}")
    return found


def scaling_of(content: Any, where: str) -> Scaling:
    """Read the JSON of scalers.

    Args:
        content: As parsed.
        where: What to call it in messages.

    Raises:
        ModelError: It is no such JSON.
    """
    if not isinstance(content, dict) or not content or content.keys() - set(SIDES):
        raise ModelError(f"{where} holds no scalers: expected {_FORM}")
    return {side: _of_entry(content[side], f"{where}, {side!r}") for side in content}


def _of_entry(entry: Any, where: str) -> Scaler:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if kind not in _SUBTRACTED:
        raise ModelError(f"{where} has no 'kind' of 'standard' or 'minmax': expected {_FORM}")
    unknown = entry.keys() - {"kind", "scale", "unit", _SUBTRACTED[kind]}
    if unknown:
        raise ModelError(f"{where} has the unknown field {min(unknown)!r}: expected {_FORM}")
    units = entry.get("unit", [])
    if not isinstance(units, list) or not all(type(one) is str for one in units):
        raise ModelError(f"{where}: 'unit' should be a list of strings")
    return _scaler(kind, entry.get(_SUBTRACTED[kind]), entry.get("scale"), tuple(units), where)


def _of_sklearn(found: Any, where: str) -> Scaler:
    name = found.name if isinstance(found, PickledObject) else type(found).__name__
    state = found.state if isinstance(found, PickledObject) else {}
    if name == "StandardScaler":
        scale, mean = _plain(state.get("scale_")), _plain(state.get("mean_"))
        one = mean if mean is not None else scale
        count = len(one) if isinstance(one, list) else 0
        return _scaler("standard", mean or [0.0] * count, scale or [1.0] * count, (), where)
    if name != "MinMaxScaler":
        raise ModelError(f"{where} holds a {name}: expected {_FORM}")
    if state.get("clip"):
        raise ModelError(f"{where} clips, which no layer does: fit it with clip=False")
    # X * scale_ + min_, which is (X - a) / b with a = -min_ / scale_ and b = 1 / scale_
    factor, shift = (np.asarray(_plain(state.get(one)), float) for one in ("scale_", "min_"))
    if factor.ndim != 1 or factor.shape != shift.shape or not np.all(factor):
        raise ModelError(f"{where} is not fitted: it has no scale_ and min_")
    return _scaler("minmax", (-shift / factor).tolist(), (1 / factor).tolist(), (), where)


def _plain(value: Any) -> Any:
    return value.values.ravel().tolist() if isinstance(value, PickledArray) else value


def _scaler(kind: str, offset: Any, spread: Any, unit: tuple[str, ...], where: str) -> Scaler:
    name = _SUBTRACTED[kind]
    for field, numbers in ((name, offset), ("scale", spread)):
        if not isinstance(numbers, list) or not numbers or not all(map(_is_number, numbers)):
            raise ModelError(f"{where}: '{field}' should be a list of finite numbers")
    if 0 in spread:
        at = spread.index(0)
        raise ModelError(f"{where}: 'scale' is 0 for feature {at}, which nothing can be divided by")
    if len(offset) != len(spread) or len(unit) not in (0, len(offset)):
        counts = f"{len(offset)}, {len(spread)} and {len(unit)}"
        raise ModelError(f"{where}: '{name}', 'scale' and 'unit' have {counts} values")
    return Scaler(kind, tuple(map(float, offset)), tuple(map(float, spread)), unit)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and bool(np.isfinite(float(value)))


def scaled(model: SourceModel, scaling: Scaling) -> SourceModel:
    """Return a model that takes and gives raw units.

    Args:
        model: As read: one input of features [B, T, F] where inputs are scaled, one output where
            outputs are.
        scaling: The scalers that stood outside it.

    Raises:
        ConfigError: It takes ids, masks by value, or has another number of inputs or features.
    """
    for side, scaler in scaling.items():
        model = (_before if side == "inputs" else _behind)(model, scaler)
    return model


def _before(model: SourceModel, scaler: Scaler) -> SourceModel:
    """Put layers in front: the mean in two parts, as float32 holds no large one exactly."""
    if len(model.inputs) != 1 or len(model.inputs[0].shape) < 2:
        raise ConfigError(f"--scale: the model has {len(model.inputs)} inputs: expected features")
    names = {layer.class_name for layer in model.layers.values()}
    for name in ("Embedding", "Masking"):
        if name in names:
            why = "its inputs are ids" if name == "Embedding" else "it masks by scaled values"
            raise ConfigError(f"--scale: the model has the layer {name}, so {why}; leave it out")
    check_count(scaler, model.inputs[0].shape[-1], "features")
    offset, factor = np.array(scaler.offset), 1 / np.array(scaler.spread)
    large = offset.astype(np.float32)
    rest = offset - large
    value = model.inputs[0].value
    first = _rescaling(model, "centre", np.ones(1), -large.astype(np.float64))
    second = _rescaling(model, "scale", factor, -rest * factor)
    centred, ready = f"{first.name}:0:0", f"{second.name}:0:0"
    calls = (
        SourceCall(first.name, (value,), (centred,)),
        SourceCall(second.name, (centred,), (ready,)),
        *(
            replace(one, inputs=tuple(ready if name == value else name for name in one.inputs))
            for one in model.calls
        ),
    )
    layers = {first.name: first, second.name: second, **model.layers}
    return replace(model, layers=layers, calls=calls)


def _behind(model: SourceModel, scaler: Scaler) -> SourceModel:
    if len(model.outputs) != 1:
        raise ConfigError(f"--scale: the model has {len(model.outputs)} outputs: expected one")
    spread, offset = np.array(scaler.spread), np.array(scaler.offset)
    steps = np.abs(spread) / np.spacing(np.abs(offset).astype(np.float32))
    if steps.min() < _LEAST_STEPS:
        at = int(steps.argmin())
        raise ConfigError(
            f"--scale: output {at} spreads by {spread[at]:g} around {offset[at]:g}, where float32 "
            f"has steps of {np.spacing(np.float32(abs(offset[at]))):.2g}: leave the scaler of the "
            "outputs out, and apply it to what the bundle gives"
        )
    last = _rescaling(model, "unscale", spread, offset)
    made = f"{last.name}:0:0"
    call = SourceCall(last.name, model.outputs, (made,))
    layers = {**model.layers, last.name: last}
    return replace(model, layers=layers, calls=(*model.calls, call), outputs=(made,))


def _rescaling(model: SourceModel, name: str, scale: Array, offset: Array) -> SourceLayer:
    while name in model.layers:
        name = f"{name}_"
    config = {"name": name, "scale": scale.tolist(), "offset": offset.tolist()}
    return SourceLayer(name=name, class_name="Rescaling", config=config)


def check_count(scaler: Scaler, size: int | None, what: str) -> None:
    """Refuse a scaler of another number of features or outputs.

    Raises:
        ConfigError: It is neither one for all, nor one for each.
    """
    count = len(scaler.offset)
    if count not in (1, size):
        raise ConfigError(f"--scale: the scaler has {count} {what}, the model {size}")


def units_told(scaling: Scaling) -> str:
    """Return a sentence that names the units, '' where there are none."""
    named = [f"{side} in {', '.join(one.unit)}" for side, one in scaling.items() if one.unit]
    return "; ".join(named)
