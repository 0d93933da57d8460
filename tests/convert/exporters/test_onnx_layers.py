"""Operations without a state in ONNX files give what the reference gives."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from gatelet.runtime.graph.graph import Shape
from tests.convert.exporters.onnx_graphs import MASKS, SIZES, Array, Compared, GraphMaker, mask_of

F = 6
GENERATOR = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def numbers_of_its_own() -> None:
    """Let each test draw the same numbers, whichever tests run before it."""
    GENERATOR.bit_generator.state = np.random.default_rng(0).bit_generator.state


def normal(*sizes: int) -> Array:
    return (GENERATOR.normal(size=sizes) * 3).astype(np.float32)


def make(
    op: str,
    shape: Shape = (None, None, F),
    *,
    takes: Sequence[Shape] = ((None, None, F),),
    **settings: Any,
) -> Compared:
    """Make a Graph of one operation."""
    maker = GraphMaker()
    names = ["features", *(f"features_{i}" for i in range(1, len(takes)))]
    xs = [maker.input(name, *one) for name, one in zip(names, takes, strict=True)]
    return Compared(maker.finish(maker.one(op, xs, shape, **settings)))


def worst(compared: Compared, *arrays: Array) -> float:
    """Return the excess over the limit for each array as the only input; the largest."""
    return max(compared.excess({"features": array}) for array in arrays)


def sequences() -> list[Array]:
    return [normal(B, T, F) for B, T in SIZES]


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("lead", [(), (None,), (None, 3)])
def test_dense(lead: Shape, use_bias: bool) -> None:
    weights = {"kernel": normal(F, 4)} | ({"bias": normal(4)} if use_bias else {})
    compared = make("Dense", (None, *lead, 4), takes=[(None, *lead, F)], weights=weights)
    sizes = [size or 5 for size in lead]
    assert worst(compared, normal(1, *sizes, F), normal(7, *sizes, F)) <= 1


def test_embedding_of_ids_and_of_ids_that_come_as_floats() -> None:
    for name, dtype in (("ids", np.int32), ("features", np.float32)):
        maker = GraphMaker()
        x = maker.input(name, None, None)
        weights = {"embeddings": normal(9, 4)}
        compared = Compared(
            maker.finish(maker.one("Embedding", [x], (None, None, 4), weights=weights))
        )
        for B, T in SIZES:
            assert compared.excess({name: GENERATOR.integers(0, 9, (B, T)).astype(dtype)}) <= 1


def test_prelu_and_affine() -> None:
    one = np.array([[[np.inf, -np.inf, 0, -1, 1, 2]]], np.float32)
    alpha = np.abs(normal(F))
    assert worst(make("PReLU", weights={"alpha": alpha}), one, *sequences()) <= 1
    weights = {"scale": normal(F), "shift": normal(F)}
    assert worst(make("Affine", weights=weights), *sequences()) <= 1


@pytest.mark.parametrize(("axes", "shape"), [([-1], (F,)), ([-2, -1], (1, F)), ([-2], None)])
def test_layer_normalization_is_exact_far_from_zero_too(
    axes: list[int], shape: tuple[int, ...] | None
) -> None:
    weights = {role: normal(*shape) for role in ("gamma", "beta")} if shape else {}
    compared = make("LayerNormalization", weights=weights, axes=axes, epsilon=1e-3)
    assert worst(compared, normal(2, 5, F) * 0.01 + 1000, *sequences()) <= 1


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5])
def test_conv_1d(kernel_size: int, padding: str, groups: int, use_bias: bool) -> None:
    weights = {"kernel": normal(kernel_size, F // groups, 4)}
    weights |= {"bias": normal(4)} if use_bias else {}
    for (stride, dilation), T in product(((1, 1), (1, 2), (2, 1), (3, 1)), (None, 9, 10)):
        compared = make(
            "Conv1D",
            (None, None, 4),
            takes=[(None, T, F)],
            weights=weights,
            strides=stride,
            padding=padding,
            dilation_rate=dilation,
            groups=groups,
        )
        shortest = (kernel_size - 1) * dilation + 1 if padding == "valid" else 1
        lengths = range(shortest, shortest + 7) if T is None else [T]
        assert worst(compared, *(normal(2, length, F) for length in lengths)) <= 1


@pytest.mark.parametrize("known", [False, True], ids=["open sizes", "known sizes"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel_size", [(1, 3), (2, 2), (3, 4)])
def test_conv_2d(kernel_size: tuple[int, int], padding: str, known: bool) -> None:
    weights = {"kernel": normal(*kernel_size, F, 4), "bias": normal(4)}
    for strides, dilation in (
        ((1, 1), (1, 1)),
        ((2, 1), (1, 1)),
        ((2, 3), (1, 1)),
        ((1, 1), (2, 3)),
    ):
        compared = make(
            "Conv2D",
            (None, None, None, 4),
            takes=[(None, 9, 12, F) if known else (None, None, None, F)],
            weights=weights,
            strides=list(strides),
            padding=padding,
            dilation_rate=list(dilation),
            groups=1,
        )
        images = [normal(2, 9, 12, F), *([] if known else [normal(1, 8, 13, F)])]
        assert worst(compared, *images) <= 1


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("pool_size", [1, 2, 3])
@pytest.mark.parametrize("op", ["MaxPooling1D", "AveragePooling1D"])
def test_pooling_1d(op: str, pool_size: int, padding: str) -> None:
    for stride, T in product((1, 2, 3, 4), (None, 9, 10)):
        compared = make(
            op, takes=[(None, T, F)], pool_size=pool_size, strides=stride, padding=padding
        )
        shortest = pool_size if padding == "valid" else 1
        lengths = range(shortest, 14) if T is None else [T]
        assert worst(compared, *(normal(2, length, F) for length in lengths)) <= 1


@pytest.mark.parametrize("known", [False, True], ids=["open sizes", "known sizes"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("op", ["MaxPooling2D", "AveragePooling2D"])
def test_pooling_2d(op: str, padding: str, known: bool) -> None:
    for pool_size, strides in product(((2, 2), (3, 1)), ((1, 1), (2, 2), (3, 2))):
        compared = make(
            op,
            (None, None, None, F),
            takes=[(None, 9, 12, F) if known else (None, None, None, F)],
            pool_size=list(pool_size),
            strides=list(strides),
            padding=padding,
        )
        assert worst(compared, normal(2, 9, 12, F)) <= 1


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_average_pooling_honours_the_mask(keepdims: bool, masked: bool) -> None:
    shape: Shape = (None, 1, F) if keepdims else (None, F)
    maker = GraphMaker()
    x, ids = maker.input("features", None, None, F), maker.input("ids", None, None)
    mask = maker.one("MaskIds", [ids], (None, None)) if masked else None
    y = maker.one("GlobalAveragePooling1D", [x], shape, mask=mask, keepdims=keepdims)
    compared = Compared(maker.finish(y))
    for (B, T), kind in product(SIZES, MASKS):
        real = mask_of(kind, B, T)
        feed = {"features": normal(B, T, F), "ids": real.astype(np.int32)}
        assert compared.excess(feed) <= 1
        assert np.isnan(compared.run(feed)[y]).any() == (masked and not real.any(axis=1).all())


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMean"])
def test_reductions(op: str, keepdims: bool) -> None:
    for axes in ([1], [2], [1, 2]):
        kept = [(1 if i in axes else size) for i, size in enumerate((None, None, F))]
        shape = kept if keepdims else [s for i, s in enumerate(kept) if i not in axes]
        assert worst(make(op, tuple(shape), axes=axes, keepdims=keepdims), *sequences()) <= 1


@pytest.mark.parametrize("nan", [False, True], ids=["numbers", "NaN"])
@pytest.mark.parametrize(
    ("op", "number"),
    [("Add", 3), ("Multiply", 3), ("Average", 3), ("Subtract", 2), ("Maximum", 3), ("Minimum", 3)],
)
def test_merging(op: str, number: int, nan: bool) -> None:
    takes = [(None, None, F), (None, 1, F), (None, None, 1)][:number]
    compared = make(op, takes=takes)
    for B, T in SIZES:
        arrays = [normal(B, T, F), normal(B, 1, F), normal(B, T, 1)][:number]
        if nan:
            for index, array in enumerate(arrays):
                array[0, 0, index % array.shape[-1]] = np.nan
        feed = dict(zip((one.name for one in compared.graph.inputs), arrays, strict=True))
        assert compared.excess(feed) <= 1


@pytest.mark.parametrize("axis", [1, 2])
def test_concatenate(axis: int) -> None:
    shape = (None, None, 2 * F if axis == 2 else F)
    compared = make("Concatenate", shape, takes=[(None, None, F)] * 2, axis=axis)
    for B, T in SIZES:
        assert compared.excess({"features": normal(B, T, F), "features_1": normal(B, T, F)}) <= 1


def test_repeat_vector() -> None:
    assert worst(make("RepeatVector", (None, 3, F), takes=[(None, F)], n=3), normal(5, F)) <= 1


@pytest.mark.parametrize("target", [[3, -1], [-1, 2, 3], [-1], [2, 9]])
def test_reshape(target: list[int]) -> None:
    shape = (None, *(None if size < 0 else size for size in target))
    compared = make("Reshape", shape, takes=[(None, None, F)], target_shape=target)
    assert worst(compared, normal(1, 3, F), normal(7, 3, F)) <= 1


def test_transpose_and_reverse() -> None:
    assert worst(make("Transpose", (None, F, None), perm=[0, 2, 1]), *sequences()) <= 1
    assert worst(make("Reverse"), *sequences()) <= 1


@pytest.mark.parametrize("rest", [(), (F,), (4, 5), (None, 5)])
def test_time_is_merged_into_the_batch_and_split_again(rest: Shape) -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, *rest)
    merged = maker.one("MergeTime", [x], (None, *rest))
    changed = maker.one("Activation", [merged], (None, *rest), activation="tanh")
    y = maker.one("SplitTime", [changed, x], (None, None, *rest))
    compared = Compared(maker.finish(y, merged))
    sizes = [size or 3 for size in rest]
    assert worst(compared, *(normal(B, T, *sizes) for B, T in SIZES)) <= 1


@pytest.mark.parametrize("op", ["MaskAnd", "MaskOr"])
def test_masks(op: str) -> None:
    maker = GraphMaker()
    ids, x = maker.input("ids", None, None), maker.input("features", None, None, F)
    masks = [
        maker.one("MaskIds", [ids], (None, None)),
        maker.one("MaskFeatures", [x], (None, None), mask_value=0.1),
    ]
    mask = maker.one(op, masks, (None, None))
    mask = maker.one("MaskAnd", [mask, maker.one("MaskAll", [x], (None, None))], (None, None))
    kept = maker.one("ApplyMask", [x], (None, None, F), mask=mask)
    other = maker.one("Reverse", [x], (None, None, F))
    chosen = maker.one("Select", [x, other], (None, None, F), mask=mask)
    compared = Compared(maker.finish(kept, chosen))
    for B, T in SIZES:
        features = normal(B, T, F)
        features[mask_of("inner", B, T)] = 0.1
        features[0, 0, 0] = 0.1
        ids_fed = GENERATOR.integers(0, 2, (B, T)).astype(np.int32)
        assert compared.excess({"ids": ids_fed, "features": features}) <= 1


@pytest.mark.parametrize(
    ("limit", "trailing"), [(None, False), (None, True), (3, False), (100, False)]
)
def test_padding_that_all_rows_share_is_trimmed(limit: int | None, trailing: bool) -> None:
    maker = GraphMaker()
    ids = maker.input("ids", None, None)
    trimmed, start = maker.node(
        "TrimPadding", [ids], (None, None), (), limit=limit, trailing=trailing
    )
    table = {"table": normal((limit or 20) + 1, 4)}
    state = maker.one("PadState", [start, trimmed], (None, 4), weights=table)
    one_hot = {"embeddings": np.arange(9, dtype=np.float32)[:, None]}
    values = maker.one("Embedding", [trimmed], (None, None, 1), weights=one_hot)
    compared = Compared(maker.finish(values, state))
    for (B, T), kind in product(SIZES, MASKS):
        fed = GENERATOR.integers(1, 9, (B, T)) * mask_of(kind, B, T)
        columns = np.flatnonzero(fed.any(axis=0))
        first = min(columns[0] if len(columns) else T - 1, T if limit is None else limit)
        end = columns[-1] + 1 if len(columns) and trailing else T
        found = compared.run({"ids": fed.astype(np.int32)})
        assert np.array_equal(found[values][..., 0], fed[:, first:end])
        assert np.array_equal(found[state], np.repeat(table["table"][first][None], B, axis=0))
