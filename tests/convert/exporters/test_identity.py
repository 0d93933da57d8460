"""A file that is found alone tells what it is, in the formats' own ways."""

import hashlib
import io
import json
import zipfile
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from flatbuffers.table import Table

from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.identity import identity_of, vocabulary_lines
from gatelet.convert.exporters.targets import EXPORTERS, TARGETS
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.graph.safetensors import encode
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.test_onnx_file import classifier

LITERT = TARGETS["litert"]
WITH_VOCABULARY = ("float32", "float16", "float32-b1")


@cache
def model() -> Exportable:
    vectorizer = Vectorizer.fit(
        ["good film", "b\\ad \ud800 film"], num_words=150, maxlen=7, oov_token="<OOV>"
    )
    graph = classifier(masked=False)
    return Exportable(graph, graph, vectorizer, "films \u00e4", ("bad", "g\u00f6\u00f6d"), 0.4)


@cache
def made(target: str, scheme: str) -> Exported:
    return EXPORTERS[target].function(model(), SCHEMES[scheme])


def flatbuffer(data: bytes) -> Any:
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))


def test_the_digests_are_those_that_the_manifest_lists() -> None:
    found = identity_of(model(), "onnx", SCHEMES["float16"])
    assert found["graph_sha256"] == hashlib.sha256(model().graph.to_json().encode()).hexdigest()
    assert found["weights_sha256"] == hashlib.sha256(encode(model().graph.weights)).hexdigest()
    assert found["vectorizer"]["maxlen"] == 7
    assert found["inputs"][0]["vocabulary"] == 200
    assert (found["scheme"], found["target"], found["threshold"]) == ("float16", "onnx", 0.4)


@pytest.mark.parametrize("scheme", TARGETS["onnx"])
def test_an_onnx_file_has_it_as_metadata_properties(scheme: str) -> None:
    read = onnx.load_from_string(made("onnx", scheme).data)
    properties = {one.key: one.value for one in read.metadata_props}
    expected = identity_of(model(), "onnx", SCHEMES[scheme])
    assert properties["gatelet.model"] == "films \u00e4"
    assert properties["gatelet.graph_sha256"] == expected["graph_sha256"]
    assert json.loads(properties["gatelet.labels"]) == ["bad", "g\u00f6\u00f6d"]
    assert json.loads(properties["gatelet.inputs"]) == expected["inputs"]
    assert {f"gatelet.{name}" for name in expected} == set(properties)


@pytest.mark.parametrize("scheme", LITERT)
def test_a_litert_file_carries_it_with_labels_and_vocabulary(scheme: str) -> None:
    data = made("litert", scheme).data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = set(archive.namelist())
        about = json.loads(archive.read("gatelet.json"))
        labels = archive.read("labels.txt").decode().splitlines()
        if scheme in WITH_VOCABULARY:
            assert archive.read("vocab.txt") == vocabulary_lines(model().vectorizer)  # type: ignore
    assert about == identity_of(model(), "litert", SCHEMES[scheme])
    assert labels == ["bad", "g\u00f6\u00f6d"]
    expected = {"gatelet.json", "labels.txt"}
    assert names == expected | ({"vocab.txt"} if scheme in WITH_VOCABULARY else set())


@pytest.mark.parametrize("scheme", LITERT)
def test_what_the_vocabulary_takes_in_a_litert_file_is_told(scheme: str) -> None:
    exported = made("litert", scheme)
    with zipfile.ZipFile(io.BytesIO(exported.data)) as archive:
        sizes = {one.filename: one.compress_size for one in archive.infolist()}
    assert exported.facts.get("vocabulary_bytes") == sizes.get("vocab.txt")


def test_what_the_vocabulary_takes_in_an_onnx_file_is_told() -> None:
    exported = made("onnx-text", "float32")
    (encoder,) = (
        node
        for node in onnx.load_from_string(exported.data).graph.node
        if node.op_type == "LabelEncoder"
    )
    words = sum(
        one.ByteSize() for one in encoder.attribute if one.name in ("keys_strings", "values_int64s")
    )
    assert 0 <= words - exported.facts["vocabulary_bytes"] < 64  # what frames both lists
    assert "vocabulary_bytes" not in made("onnx", "float32").facts


def test_a_litert_file_describes_its_tensors_as_the_schema_asks() -> None:
    read = flatbuffer(made("litert", "float32").data)
    (entry,) = [one for one in read.metadata if one.name == b"TFLITE_METADATA"]
    data = bytes(read.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    root = Table(data, int.from_bytes(data[:4], "little"))
    assert text(root, 0) == "films \u00e4"
    assert identity_of(model(), "litert", SCHEMES["float32"])["graph_sha256"] in text(root, 1)
    (subgraph,) = tables(root, 3)
    (ids,), (scores,) = tables(subgraph, 2), tables(subgraph, 3)
    assert (text(ids, 0), text(scores, 0)) == ("ids", model().graph.outputs[0])
    (vocabulary,), (labels,) = tables(ids, 6), tables(scores, 6)
    assert (text(vocabulary, 0), vocabulary.Bytes[vocabulary.Pos + slot(vocabulary, 2)]) == (
        "vocab.txt",
        5,
    )
    assert (text(labels, 0), labels.Bytes[labels.Pos + slot(labels, 2)]) == ("labels.txt", 2)


def slot(table: Table, field: int) -> int:
    return int(table.Offset(4 + 2 * field))


def text(table: Table, field: int) -> str:
    return str(table.String(table.Pos + slot(table, field)).decode())


def tables(table: Table, field: int) -> list[Table]:
    offset = slot(table, field)
    start = table.Vector(offset)
    return [
        Table(table.Bytes, table.Indirect(start + 4 * index))
        for index in range(table.VectorLen(offset))
    ]


@pytest.mark.parametrize("scheme", LITERT)
def test_weights_are_aligned_as_the_schema_asks(scheme: str) -> None:
    from tensorflow.lite.python import schema_py_generated as schema

    read = schema.Model.GetRootAs(made("litert", scheme).data, 0)
    checked = 0
    for index in range(read.BuffersLength()):
        buffer = read.Buffers(index)
        if buffer.DataLength():
            table = buffer._tab
            assert table.Vector(table.Offset(4)) % 16 == 0
            checked += 1
    assert checked > 5


def test_metadata_leaves_the_scores_alone() -> None:
    graph = model().graph
    bare = EXPORTERS["litert"].function(Exportable(graph, graph), SCHEMES["dynamic-int8"]).data
    ids = np.arange(12, dtype=np.int32).reshape(2, 6)
    scores = []
    for data in (bare, made("litert", "dynamic-int8").data):
        runner = Interpreter(model_content=data).get_signature_runner()
        scores.append(runner(ids=ids)[graph.outputs[0]])
    assert np.array_equal(*scores)


@pytest.mark.parametrize("target", ["litert", "onnx"])
def test_the_same_model_gives_the_same_bytes(target: str) -> None:
    again = EXPORTERS[target].function(model(), SCHEMES["float32"])
    assert again.data == made(target, "float32").data


def test_a_vocabulary_line_has_the_word_of_its_number() -> None:
    vectorizer = model().vectorizer
    assert vectorizer is not None
    lines = vocabulary_lines(vectorizer).decode().split("\n")
    for word, number in vectorizer.vocabulary.items():
        shown = word.replace("\\", "\\\\").replace("\ud800", "\\ud800")
        assert lines[number] == shown
    assert lines[0] == ""
