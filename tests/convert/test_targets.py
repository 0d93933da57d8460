"""The tables of targets, schemes and limits fit each other; what a target lacks is an error."""

from dataclasses import replace

import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import EXPORTERS, TARGETS, export, refusal
from gatelet.convert.gates.operators import READERS
from gatelet.convert.keras_route.jobs import CONVERTERS
from gatelet.convert.schemes import SCHEMES, Scheme, same_but
from gatelet.convert.tolerances import TOLERANCES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError
from gatelet.runtime import backends
from tests.convert.exporters.onnx_graphs import GraphMaker


def test_what_is_exported_is_run_by_a_row_of_the_runtime_and_held_to_limits() -> None:
    with_artifacts = {name for name, row in backends.TARGETS.items() if not row.runs_graph}
    assert set(EXPORTERS) == with_artifacts == {target for target, _ in TOLERANCES}
    assert {scheme for _, scheme in TOLERANCES} == set(SCHEMES)
    assert all(TARGETS.values())


@pytest.mark.parametrize(("target", "scheme"), TOLERANCES)
def test_a_target_has_the_types_of_its_schemes(target: str, scheme: str) -> None:
    assert EXPORTERS[target].lacks(SCHEMES[scheme]) == ""


def test_what_a_file_is_by_its_suffix_is_what_a_gate_reads() -> None:
    assert {row.suffix for row in EXPORTERS.values()} - {".bin"} == set(READERS)


def test_what_goes_past_the_graph_has_a_converter() -> None:
    assert {name for name, row in EXPORTERS.items() if row.past_graph} == set(CONVERTERS)
    for name, row in EXPORTERS.items():
        assert set(row.past_graph) <= set(TARGETS[name])


@pytest.mark.parametrize(
    ("target", "fields", "said"),
    [
        ("c", {"weights": "float16"}, "c has no float16 weights with float32 activations, as odd"),
        ("c", {"weights": "int8", "activations": "float16"}, "no int8 weights with float16"),
        ("onnx", {"embeddings": "int8"}, "onnx has no int8 embeddings, as odd wants"),
        ("onnx", {"batch": 4}, "onnx has no files for 4 rows"),
        ("litert", {"outside": True}, "litert has no files that take rows of embeddings"),
        ("tflm", {"weights": "int8"}, "tflm has no int8 weights with float32 activations"),
    ],
)
def test_a_scheme_of_other_types_than_a_target_has_is_refused(
    target: str, fields: dict[str, object], said: str
) -> None:
    maker = GraphMaker()
    x = maker.input("ids", None, None, vocabulary=9)
    table = {"embeddings": maker.weight(9, 3)}
    graph = maker.finish(maker.one("Embedding", [x], (None, None, 3), weights=table))
    odd = replace(SCHEMES["float32"], name="odd", **fields)  # type: ignore[arg-type]
    assert said in refusal(graph, target, odd)


def test_c_has_no_embeddings_of_another_type_where_it_computes_in_integers() -> None:
    maker = GraphMaker()
    x = maker.input("ids", None, None, vocabulary=9)
    table = {"embeddings": maker.weight(9, 3)}
    graph = maker.finish(maker.one("Embedding", [x], (None, None, 3), weights=table))
    odd = replace(SCHEMES["full-int8"], name="odd", embeddings="int4")
    assert "c computes in integers from int8 embeddings" in refusal(graph, "c", odd)


@pytest.mark.parametrize("field", ["weights", "activations", "embeddings"])
def test_an_unknown_type_is_an_error_that_names_it(field: str) -> None:
    with pytest.raises(ValueError, match=r"scheme 'odd': the type 'ternary' of its .*; known are"):
        replace(SCHEMES["float32"], name="odd", **{field: "ternary"})  # type: ignore[arg-type]


def test_the_scheme_that_would_do_as_well_is_found_by_its_fields() -> None:
    assert same_but(SCHEMES["dynamic-int8-emb4"], embeddings="") == "dynamic-int8"
    assert same_but(SCHEMES["full-int8-features"], outside=False) == "full-int8"
    assert same_but(Scheme("odd", "float16", "float32", batch=3), batch=4) == ""


def test_an_artifact_says_of_what_types_it_is() -> None:
    maker = GraphMaker()
    x = maker.input("features", None, 3)
    graph = maker.finish(maker.one("Dense", [x], (None, 2), weights={"kernel": maker.weight(3, 2)}))
    with Worker() as worker:
        made = export(Exportable(graph, graph), "onnx", SCHEMES["float16"], worker)
        assert made.facts["stores"] == SCHEMES["float16"].stores
        with pytest.raises(ConversionError, match="onnx has no files for 1 rows"):
            export(Exportable(graph, graph), "onnx", SCHEMES["float32-b1"], worker)
