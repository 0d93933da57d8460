"""Which artifacts a command makes, and what a scheme cannot be used for."""

from typing import Any

import pytest

from gatelet.convert.exporters.choice import (
    DEFAULT_ARTIFACTS,
    choose,
    choose_artifacts,
    names_them,
)
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import EXPORTERS, TARGETS, export, refusal
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.settings import ConversionSettings
from gatelet.convert.tolerances import TOLERANCES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConfigError, ConversionError
from tests.convert.exporters.onnx_graphs import GraphMaker


def names(targets: tuple[str, ...] = (), schemes: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(target, scheme.name) for target, scheme in choose_artifacts(targets, schemes)]


def test_without_names_the_default_artifacts_are_made() -> None:
    assert set(DEFAULT_ARTIFACTS) < set(names())
    by_default = [target for target, row in EXPORTERS.items() if row.made == "by default"]
    assert names() == [(t, name) for t in by_default for name in ("float32", *EXPORTERS[t].rungs)]


@pytest.mark.parametrize("target", ["c", "litert", "onnx", "onnx-text"])
def test_a_target_alone_gives_float32_and_the_rungs_of_its_ladder(target: str) -> None:
    assert names((target,)) == [
        (target, "float32"),
        *((target, r) for r in EXPORTERS[target].rungs),
    ]


@pytest.mark.parametrize(
    ("asked", "climbs"),
    [({}, True), ({"targets": ("onnx",)}, True), ({"schemes": ("all",)}, False)],
)
def test_a_ladder_is_climbed_where_no_scheme_is_named(asked: dict[str, Any], climbs: bool) -> None:
    choice = choose(ConversionSettings(**asked))
    assert bool(choice.rungs) == climbs
    assert choice.rungs <= {(target, scheme.name) for target, scheme in choice.artifacts}
    assert not any(scheme == "float32" for _, scheme in choice.rungs)


@pytest.mark.parametrize("target", ["litert", "onnx"])
def test_a_model_without_a_large_recurrent_kernel_is_refused_for_a_scheme_of_one(
    target: str,
) -> None:
    maker = GraphMaker()
    x = maker.input("features", None, None, 3)
    (h,) = maker.recurrence("LSTM", [x], features=3, units=8)
    said = refusal(maker.finish(h), target, SCHEMES["dynamic-int8-rec32"])
    assert "no recurrent kernel of 1,024 numbers or more" in said
    assert "would be the same as dynamic-int8" in said


def test_a_scheme_alone_gives_every_target_that_has_it() -> None:
    assert ("litert", "float16") in names((), ("float16",))
    assert ("onnx", "float16") in names((), ("float16",))
    assert names((), ("float32-b1",)) == [("litert", "float32-b1")]


def test_a_scheme_alone_does_not_choose_a_target_that_few_models_fit() -> None:
    assert "tflm" not in {target for target, _ in names((), ("float32",))}
    assert names((), ("full-int8",)) == [("c", "full-int8")]
    assert names(("tflm",)) == [("tflm", "float32"), ("tflm", "full-int8")]
    assert names((), ("full-int8-features",)) == [("tflm", "full-int8-features")]


def test_all_is_every_target_and_every_scheme() -> None:
    every = [(target, scheme) for target in TARGETS for scheme in TARGETS[target]]
    assert names(("all",), ("all",)) == names((), ("all",)) == every
    assert names(("onnx",), ("all",)) == [("onnx", scheme) for scheme in TARGETS["onnx"]]
    assert names(("all",), ("float32-b1",)) == [("litert", "float32-b1")]
    assert set(DEFAULT_ARTIFACTS) < set(names(("all",)))
    with pytest.raises(ConfigError, match=r"'every' is not known; known are .*, wasm, all"):
        choose_artifacts(("every",), ())


def test_what_is_named_must_be_made_and_of_all_what_fits() -> None:
    assert names_them(("onnx", "c"))
    assert not names_them(()) and not names_them(("all",)) and not names_them(("onnx", "all"))


def test_a_target_without_the_scheme_is_refused_with_what_it_has() -> None:
    with pytest.raises(ConfigError, match="'onnx' has none of the schemes float32-b1; it has"):
        choose_artifacts(("onnx",), ("float32-b1",))


def test_every_target_and_scheme_has_limits_with_a_reason() -> None:
    for target, schemes in TARGETS.items():
        for scheme in schemes:
            assert TOLERANCES[target, scheme].reason


@pytest.mark.parametrize(
    ("target", "scheme"),
    [
        ("litert", "dynamic-int8-emb4"),
        ("onnx", "dynamic-int8-emb4"),
        ("tflm", "float32-features"),
        ("tflm", "full-int8-features"),
    ],
)
def test_a_model_without_an_embedding_is_refused_for_schemes_of_one(
    target: str, scheme: str
) -> None:
    maker = GraphMaker()
    y = maker.one("Activation", [maker.input("features", None, 4)], (None, 4), activation="tanh")
    graph = maker.finish(y)
    with (
        Worker() as worker,
        pytest.raises(ConversionError, match=r"has no Embedding, .*: choose that with --scheme"),
    ):
        export(Exportable(graph, graph), target, SCHEMES[scheme], worker)


def test_a_scheme_that_has_no_like_without_an_embedding_is_refused_by_what_it_is_for() -> None:
    maker = GraphMaker()
    y = maker.one("Activation", [maker.input("features", None, 4)], (None, 4), activation="tanh")
    found = refusal(maker.finish(y), "c", SCHEMES["dynamic-int4-emb1"])
    assert found == (
        "the model has no Embedding, which c dynamic-int4-emb1 is for: choose another --scheme"
    )
    found = refusal(maker.finish(y), "onnx", SCHEMES["dynamic-int4-emb1"])
    assert found == (
        "onnx has no int4 weights with float32 activations, as dynamic-int4-emb1 wants: choose "
        "another --scheme"
    )


def test_a_model_without_a_recurrence_is_refused_for_a_scheme_of_recurrent_kernels() -> None:
    maker = GraphMaker()
    y = maker.one("Activation", [maker.input("features", None, 4)], (None, 4), activation="tanh")
    found = refusal(maker.finish(y), "c", SCHEMES["dynamic-int8-rec16"])
    assert "has no recurrent kernel" in found and "dynamic-int8: choose" in found
