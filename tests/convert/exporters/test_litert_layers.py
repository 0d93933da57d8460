"""Operations without a state in LiteRT files give what the reference gives, at every size."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

from gatelet.convert.parity.checks.scores import difference
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph, GraphInput, Node, Shape
from tests.convert.exporters.litert_graphs import SIZES, Array, Compared, Feeds
from tests.convert.exporters.onnx_graphs import MASKS, GraphMaker, mask_of

F, K = 6, 4
HEIGHT, WIDTH = 7, 6


def normal(*sizes: int, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).normal(size=sizes) * 3).astype(np.float32)


def sized(graph: Graph, B: int, T: int, kind: str = "inner") -> Feeds:
    """Return every input of a graph: open sizes after B are T; ids are 0 where masked."""
    found: dict[str, Array] = {}
    for index, one in enumerate(graph.inputs):
        shape = [B, *(T if size is None else size for size in one.shape[1:])]
        found[one.name] = normal(*shape, seed=index + B + T)
        if one.dtype == "int32":
            ids = np.random.default_rng(B + T).integers(1, 9, shape)
            found[one.name] = (ids * mask_of(kind, *shape[:2])).astype(np.int32)
    return found


def all_sizes(graph: Graph) -> Iterator[Feeds]:
    return (sized(graph, B, T) for B, T in SIZES)


def test_refuses_an_operation_it_does_not_know() -> None:
    node = Node("n0_fold", "Fold", ("features",), ("n0_fold",), ((None, 3),))
    graph = Graph((GraphInput("features", "float32", (None, 3)),), (node,), ("n0_fold",), {})
    with pytest.raises(ConversionError, match=r"node 'n0_fold' \(Fold\) cannot be exported to"):
        Compared(graph)


def test_products_tables_and_normalisations() -> None:
    maker = GraphMaker()
    ids, floats = maker.input("ids", None, None), maker.input("features", None, None)
    x, row = maker.input("features_1", None, None, F), maker.input("features_2", None, F)
    known = maker.input("features_3", None, K, F)
    images = maker.input("features_4", None, None, 3, 2, F)
    rounded = maker.one("Activation", [floats], (None, None), activation="relu6")
    outputs = [
        maker.one("Embedding", [one], (None, None, 4), weights={"embeddings": normal(9, 4)})
        for one in (ids, rounded)
    ]
    leads: tuple[tuple[str, Shape], ...] = ((row, ()), (x, (None,)), (images, (None, 3, 2)))
    for value, lead in leads:
        weights = {"kernel": normal(F, 3)} | ({"bias": normal(3)} if lead else {})
        outputs.append(maker.one("Dense", [value], (None, *lead, 3), weights=weights))
    for value, time in ((x, None), (known, K)):
        inner = () if time is None else (K,)
        for op, roles in (("PReLU", ["alpha"]), ("Affine", ["scale", "shift"])):
            weights = {role: np.abs(normal(*inner, F)) for role in roles}
            outputs.append(maker.one(op, [value], (None, time, F), weights=weights))
    for axes, shape in (([-1], (F,)), ([-2, -1], (K, F)), ([-2], (K, 1)), ([-1], None)):
        weights = {role: normal(*shape) for role in ("gamma", "beta")} if shape else {}
        outputs.append(
            maker.one(
                "LayerNormalization",
                [known],
                (None, K, F),
                weights=weights,
                axes=axes,
                epsilon=1e-3,
            )
        )
    compared = Compared(maker.finish(*outputs))
    assert compared.failures(all_sizes(compared.graph)) == []


def test_layer_normalization_is_exact_far_from_zero_too() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, K, F)
    outputs = [
        maker.one("LayerNormalization", [x], (None, K, F), axes=axes, epsilon=1e-3)
        for axes in ([-1], [-2, -1], [-2])
    ]
    compared = Compared(maker.finish(*outputs))
    fed = {"features": normal(64, K, F) * np.float32(0.01) + np.float32(1000)}
    exact = ReferenceBackend(compared.graph, dtype=np.float64).run(fed)
    found = compared.run(fed)
    # float32 need not lose here what the reference in float32 loses
    assert max(difference(found[name], exact[name]).max() for name in outputs) <= 1e-5


def test_reductions_and_combinations() -> None:
    maker = GraphMaker()
    x, row = maker.input("features", None, None, F), maker.input("features_1", None, 1, F)
    thin = maker.input("features_2", None, None, 1)
    outputs = []
    for op, axes, keepdims in product(
        ("ReduceMax", "ReduceMean"), ([1], [2], [1, 2]), (False, True)
    ):
        sizes = [(1 if i in axes else size) for i, size in enumerate((None, None, F))]
        shape = sizes if keepdims else [s for i, s in enumerate(sizes) if i not in axes]
        outputs.append(maker.one(op, [x], tuple(shape), axes=axes, keepdims=keepdims))
    for op in ("Add", "Multiply", "Average", "Subtract", "Maximum", "Minimum"):
        values = [x, row] if op == "Subtract" else [x, row, thin]
        outputs.append(maker.one(op, values, (None, None, F)))
    outputs += [
        maker.one("Concatenate", [x, x], (None, None, 2 * F), axis=2),
        maker.one("Concatenate", [x, row], (None, None, F), axis=1),
    ]
    compared = Compared(maker.finish(*outputs))
    assert compared.failures(all_sizes(compared.graph)) == []


def test_maximum_and_minimum_of_nan_are_nan() -> None:
    maker = GraphMaker()
    values = [maker.input("features", None, F), maker.input("features_1", None, F)]
    outputs = [maker.one(op, values, (None, F)) for op in ("Maximum", "Minimum")]
    compared = Compared(maker.finish(*outputs))
    found: dict[str, Array] = dict(sized(compared.graph, 2, 1))
    found["features"][0, 0] = found["features_1"][1, 1] = np.nan
    assert compared.failures([found]) == []


def test_shapes_that_change() -> None:
    maker = GraphMaker()
    x, row = maker.input("features", None, None, F), maker.input("features_1", None, F)
    known = maker.input("features_2", None, K, F)
    video = maker.input("features_3", None, None, 3, None, 2)
    ids = maker.input("ids", None, None)
    outputs = [maker.one("RepeatVector", [row], (None, 3, F), n=3)]
    for target, value in (([3, -1], known), ([-1], known), ([2, 12], known), ([-1, 3], x)):
        sizes = tuple(None if size < 0 else size for size in target)
        outputs.append(maker.one("Reshape", [value], (None, *sizes), target_shape=target))
    outputs += [
        maker.one("Reshape", [x], (None, None), target_shape=[-1]),
        maker.one("Transpose", [x], (None, F, None), perm=[0, 2, 1]),
        maker.one("Reverse", [x], (None, None, F)),
        maker.one("Reverse", [ids], (None, None)),
    ]
    for value, rest in ((x, (F,)), (video, (3, None, 2)), (ids, ())):
        merged = maker.one("MergeTime", [value], (None, *rest))
        outputs += [merged, maker.one("SplitTime", [merged, value], (None, None, *rest))]
    compared = Compared(maker.finish(*outputs))
    assert compared.failures(all_sizes(compared.graph)) == []


@cache
def convolutions() -> Compared:
    maker = GraphMaker(scale=0.4)
    x, image = maker.input("features", None, None, F), maker.input("features_1", None, 7, 6, 4)
    # long enough for any window
    long = maker.one("Concatenate", [x] * 8, (None, None, F), axis=1)
    outputs = []
    for index, (padding, (strides, dilation, groups)) in enumerate(
        product(
            ("same", "causal", "valid"),
            ((1, 1, 1), (2, 1, 1), (3, 1, 1), (1, 3, 1), (1, 1, 2), (1, 2, 6)),
        )
    ):
        weights = {"kernel": maker.weight(2 + index % 3, F // groups, 12)}
        outputs.append(
            maker.one(
                "Conv1D",
                [long if padding == "valid" else x],
                (None, None, 12),
                weights=weights | ({"bias": maker.weight(12)} if index % 2 else {}),
                strides=strides,
                padding=padding,
                dilation_rate=dilation,
                groups=groups,
            )
        )
    for padding, (steps, rate, groups) in product(
        ("same", "valid"), (([1, 1], [1, 1], 1), ([2, 3], [1, 1], 2), ([1, 1], [2, 1], 4))
    ):
        outputs.append(
            maker.one(
                "Conv2D",
                [image],
                (None, None, None, 8),
                weights={"kernel": maker.weight(3, 2, 4 // groups, 8), "bias": maker.weight(8)},
                strides=steps,
                padding=padding,
                dilation_rate=rate,
                groups=groups,
            )
        )
    return Compared(maker.finish(*outputs))


@pytest.mark.parametrize(("B", "T"), SIZES)
def test_convolutions(B: int, T: int) -> None:
    compared = convolutions()
    assert compared.failures([sized(compared.graph, B, T)]) == []


def test_poolings_do_not_count_padding() -> None:
    maker = GraphMaker()
    x, image = maker.input("features", None, None, F), maker.input("features_1", None, 7, 6, 4)
    long = maker.one("Concatenate", [x] * 4, (None, None, F), axis=1)
    outputs = []
    for kind, padding, (size, stride) in product(
        ("Max", "Average"), ("same", "valid"), ((2, 2), (3, 1), (3, 2), (2, 3))
    ):
        settings: dict[str, Any] = {"padding": padding}
        value = x if padding == "same" else long
        outputs += [
            maker.one(
                f"{kind}Pooling1D",
                [value],
                (None, None, F),
                pool_size=size,
                strides=stride,
                **settings,
            ),
            maker.one(
                f"{kind}Pooling2D",
                [image],
                (None, None, None, 4),
                pool_size=[size, 2],
                strides=[stride, 1],
                **settings,
            ),
        ]
    compared = Compared(maker.finish(*outputs))
    assert compared.failures(all_sizes(compared.graph)) == []


def masked_graph() -> tuple[Graph, Sequence[str]]:
    maker = GraphMaker()
    ids, x = maker.input("ids", None, None), maker.input("features", None, None, F)
    images = maker.input("features_1", None, None, 3, 2, 1)
    of_ids = maker.one("MaskIds", [ids], (None, None))
    of_features = maker.one("MaskFeatures", [x], (None, None), mask_value=0.1)
    masks = [
        of_ids,
        of_features,
        maker.one("MaskAll", [images], (None, None)),
        maker.one("MaskAnd", [of_ids, of_features], (None, None)),
        maker.one("MaskOr", [of_ids, of_features], (None, None)),
        maker.one("Concatenate", [of_ids, of_features], (None, None), axis=1),
        maker.one("Reverse", [of_ids], (None, None)),
    ]
    other = maker.one("Reverse", [x], (None, None, F))
    outputs = [
        maker.one("ApplyMask", [x], (None, None, F), mask=of_features),
        maker.one("ApplyMask", [images], (None, None, 3, 2, 1), mask=of_ids),
        maker.one("Select", [x, other], (None, None, F), mask=of_ids),
    ]
    for keepdims, mask in product((False, True), (None, of_ids)):
        shape = (None, 1, F) if keepdims else (None, F)
        settings: dict[str, Any] = {"mask": mask, "keepdims": keepdims}
        outputs.append(maker.one("GlobalAveragePooling1D", [x], shape, **settings))
    return maker.finish(*masks, *outputs), outputs


def test_masks_and_what_honours_them() -> None:
    graph, outputs = masked_graph()
    compared = Compared(graph)
    for (B, T), kind in product(SIZES, MASKS):
        found = sized(graph, B, T, kind)
        found["features"][mask_of("inner", B, T)] = 0.1
        assert compared.failures([found]) == []
        # a row without timesteps has no mean
        means = compared.run(found)[outputs[-1]]
        assert np.array_equal(np.isnan(means).all(axis=(1, 2)), ~mask_of(kind, B, T).any(axis=1))


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_padding_that_all_rows_share_is_trimmed(scheme: str) -> None:
    maker = GraphMaker()
    ids = maker.input("ids", None, None)
    table = {"table": normal(101, 16)}
    cases = ((None, False), (None, True), (3, False), (100, False), (2, True))
    outputs = []
    for limit, trailing in cases:
        trimmed, start = maker.node(
            "TrimPadding", [ids], (None, None), (), limit=limit, trailing=trailing
        )
        state = maker.one("PadState", [start, trimmed], (None, 16), weights=table)
        outputs.append((trimmed, start, state))
    compared = Compared(maker.finish(*(name for three in outputs for name in three)), scheme=scheme)
    for (B, T), kind in product(SIZES, MASKS):
        fed = sized(compared.graph, B, T, kind)
        columns = np.flatnonzero(fed["ids"].any(axis=0))
        found = compared.run(fed)
        for (limit, trailing), (trimmed, start, state) in zip(cases, outputs, strict=True):
            first = min(columns[0] if len(columns) else T - 1, T if limit is None else limit)
            end = T
            if trailing:
                end = max(columns[-1] + 1 if len(columns) else 0, first + 1)
            assert found[start] == first
            assert np.array_equal(found[trimmed], fed["ids"][:, first:end])
            # as exact as 16 bits are
            distance = np.abs(found[state] - table["table"][first]).max()
            assert distance <= np.abs(table["table"]).max() / 32767


def test_states_of_padding_go_to_the_nearest_number() -> None:
    rng, unit = np.random.default_rng(5), np.float32(1 / 32767)
    rows = 40
    tables = {
        "normal": rng.normal(size=(rows, 8)),
        "all negative": -np.abs(rng.normal(size=(rows, 8))),
        "just above a step": (rng.integers(-32000, 32000, (rows, 8)) + 0.02) * unit,
    }
    tables["just above a step"][0, 0] = 1.0  # the largest, so that this is the step
    maker = GraphMaker()
    ids = maker.input("ids", None, None)
    trimmed, start = maker.node("TrimPadding", [ids], (None, None), (), limit=None, trailing=False)
    found = {
        name: maker.one(
            "PadState", [start, trimmed], (None, 8), weights={"table": table.astype(np.float32)}
        )
        for name, table in tables.items()
    }
    compared = Compared(maker.finish(trimmed, *found.values()), scheme="dynamic-int8")
    for pads in range(rows - 1):
        states = compared.run({"ids": np.array([[0] * pads + [1]], np.int32)})
        for name, table in tables.items():
            apart = np.abs(states[found[name]][0] - table[pads]).max()
            assert apart <= 0.5001 * np.abs(table).max() / 32767, (name, pads)
