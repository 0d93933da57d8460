"""BatchNormalization, LayerNormalization, Normalization and Rescaling.

Not the training of their statistics: all but LayerNormalization are x * scale + shift here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.lowering.builder import GraphBuilder, TimeMustBeKnown, Value, keep_mask
from gatelet.convert.lowering.settings import (
    expect_shape,
    read_bool,
    read_number,
    read_setting,
    refuse,
    require_default,
    weight_roles,
)
from gatelet.convert.reading.source import SourceLayer
from gatelet.errors import ModelError

Array = NDArray[Any]
_EPSILON = 1e-7  # keras.config.epsilon()


def lower_batch_normalization(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.BatchNormalization`.

    Args:
        layer: Its configuration and weights: gamma with scale, beta with center, moving_mean,
            moving_variance, each [N] for the axis.
        inputs: x [B, ...].
        builder: Where the node goes.

    Source: Ioffe & Szegedy 2015, algorithm 2.
    """
    require_default(layer, renorm=False)
    x = inputs[0]
    axes = _axes(layer, x)
    if len(axes) != 1:
        raise refuse(layer, f"axis={layer.config['axis']}", "supported: one axis")
    roles = (*_gamma_and_beta(layer), "moving_mean", "moving_variance")
    weights, shape = weight_roles(layer, *roles), _shape_over(layer, x, axes)
    for role, array in weights.items():
        expect_shape(layer, role, array, (max(shape),))
    epsilon = read_number(layer, "epsilon", default=1e-3)
    folded = {
        "scale": builder.derive(layer, "scale", lambda: _fold(weights, epsilon)[0].reshape(shape)),
        "shift": builder.derive(layer, "shift", lambda: _fold(weights, epsilon)[1].reshape(shape)),
    }
    made = builder.add("Affine", [x], shape=x.shape, source=layer, weights=folded)
    return [keep_mask(made, x)]


def lower_layer_normalization(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.LayerNormalization`.

    Args:
        layer: Its configuration and weights: gamma with scale, beta with center, of the shape of
            the normalised axes.
        inputs: x [B, ...].
        builder: Where the node goes.
    """
    require_default(layer, rms_scaling=False)
    x = inputs[0]
    axes = _axes(layer, x)
    if axes != sorted(axes):
        raise refuse(layer, f"axis={layer.config['axis']}", "supported: axes in ascending order")
    weights = weight_roles(layer, *_gamma_and_beta(layer))
    over: dict[str, Array] = {}
    if weights:
        shape = _shape_over(layer, x, axes)
        for role, array in weights.items():
            expect_shape(layer, role, array, tuple(shape[axis - 1] for axis in axes))
            over[role] = builder.derive(layer, role, _reshaping(array, shape))
    made = builder.add(
        "LayerNormalization",
        [x],
        shape=x.shape,
        source=layer,
        weights=over,
        attributes={
            "axes": [axis - len(x.shape) for axis in axes],
            "epsilon": read_number(layer, "epsilon", default=1e-3),
        },
    )
    return [keep_mask(made, x)]


def lower_normalization(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.Normalization`.

    Args:
        layer: Its configuration, with mean and variance unless they were adapted; then its
            weights are mean, variance and a count that is not needed.
        inputs: x [B, ...].
        builder: Where the nodes go: two, as x - mean first is exact where mean is large.
    """
    x = inputs[0]
    axes = sorted(_axes(layer, x))
    shape = _shape_over(layer, x, axes)
    if read_setting(layer, "mean") is None:
        mean, variance = layer.weights[:2] if len(layer.weights) > 1 else (None, None)
    else:
        mean, variance = _numbers(layer, "mean"), _numbers(layer, "variance")
    if mean is None or variance is None:
        raise ModelError(
            f"layer '{layer.name}' (Normalization) has neither adapted weights nor mean and "
            "variance: adapt it, save the model again",
            layer=layer.name,
            class_name=layer.class_name,
        )
    centre = _aligned(layer, "mean", mean, shape, axes)
    deviation = np.sqrt(_aligned(layer, "variance", variance, shape, axes).astype(np.float64))
    deviation = np.maximum(deviation, _EPSILON)
    nothing = np.zeros(1), np.ones(1)
    pairs = [(nothing[1], -centre), (1 / deviation, nothing[0])]
    if read_bool(layer, "invert", default=False):
        pairs = [(deviation, centre)]
    return [_affines(layer, x, pairs, builder)]


def lower_rescaling(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower `keras.layers.Rescaling`: x * scale + offset, each a number or one for a channel."""
    pairs = [(_numbers(layer, "scale", default=1.0), _numbers(layer, "offset", default=0.0))]
    return [_affines(layer, inputs[0], pairs, builder)]


def _affines(
    layer: SourceLayer, x: Value, pairs: Sequence[tuple[Array, Array]], builder: GraphBuilder
) -> Value:
    """Append x * scale + shift for each pair; Keras 2 ends the mask at these layers."""
    made = x
    for index, (scale, shift) in enumerate(pairs):
        weights = {
            "scale": builder.derive(layer, f"scale {index}", _reshaping(scale, scale.shape)),
            "shift": builder.derive(layer, f"shift {index}", _reshaping(shift, shift.shape)),
        }
        made = builder.add("Affine", [made], shape=x.shape, source=layer, weights=weights)
    return replace(made, mask=x.mask if builder.keras_major >= 3 else None)


def _fold(weights: Mapping[str, Array], epsilon: float) -> tuple[Array, Array]:
    """Return scale and shift [N] of a batch normalisation, in float64."""
    scale = 1 / np.sqrt(weights["moving_variance"].astype(np.float64) + epsilon)
    if "gamma" in weights:
        scale = scale * weights["gamma"]
    shift = -weights["moving_mean"] * scale
    return scale, shift + weights["beta"] if "beta" in weights else shift


def _gamma_and_beta(layer: SourceLayer) -> list[str]:
    has = {"gamma": "scale", "beta": "center"}
    return [role for role, setting in has.items() if read_bool(layer, setting, default=True)]


def _axes(layer: SourceLayer, x: Value) -> list[int]:
    """Read one or more axes, counted from the front."""
    found = layer.config.get("axis", -1)
    if found is None:
        return []
    axes = [found] if isinstance(found, int) else list(found)
    return [int(axis) % len(x.shape) for axis in axes]


def _shape_over(layer: SourceLayer, x: Value, axes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a weight over some axes, 1 along the others and without B."""
    sizes = [size if axis in axes else 1 for axis, size in enumerate(x.shape)][1:]
    known = tuple(size for size in sizes if size is not None)
    if len(known) != len(sizes) or 0 in axes:
        raise TimeMustBeKnown(layer)
    return known


def _aligned(
    layer: SourceLayer, role: str, array: Array, shape: tuple[int, ...], axes: Sequence[int]
) -> Array:
    """Lay an array over the kept axes, the last ones first."""
    sizes = [1] * len(shape)
    kept = list(axes)[len(axes) - array.ndim :] if array.ndim else []
    for axis, size in zip(kept, array.shape[-len(kept) :] if kept else (), strict=True):
        sizes[axis - 1] = size
    if array.ndim > len(axes) or any(
        size not in (1, whole) for size, whole in zip(sizes, shape, strict=True)
    ):
        expect_shape(layer, role, array, tuple(shape[axis - 1] for axis in axes))
    return array.reshape(sizes)


def _reshaping(array: Array, shape: tuple[int, ...]) -> Any:
    return lambda: array.reshape(shape)


def _numbers(layer: SourceLayer, name: str, *, default: float | None = None) -> Array:
    """Read a number or nested lists of them; Keras 3 writes arrays as objects."""
    found = read_setting(layer, name, default=default)
    if isinstance(found, Mapping):
        found = found.get("value", found.get("config"))
        found = found.get("value") if isinstance(found, Mapping) else found
    try:
        return np.asarray(found, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"layer '{layer.name}' ({layer.class_name}): its {name} should be numbers, the file "
            f"has {found!r}",
            layer=layer.name,
            class_name=layer.class_name,
        ) from error
