"""TensorFlow Lite metadata: a description in the flatbuffer, and files appended as a zip archive.

Not the conversion. The files come last: whoever rewrites the flatbuffer afterwards drops them.

Source: metadata_schema.fbs of TensorFlow Lite, "Adding metadata to TensorFlow Lite models".
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.identity import identity_of, vocabulary_lines
from gatelet.convert.schemes import Scheme

_LABELS, _VOCABULARY = 2, 5
_VOCABULARY_FILE = "vocab.txt"
_ENTRY = "TFLITE_METADATA"
_MINIMAL_PARSER = "1.0.0"
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_ALIGNMENT_BYTES = 16

Offset = Any


@dataclass(frozen=True)
class _File:
    """An associated file; `kind` is an AssociatedFileType, 0 where none fits."""

    name: str
    description: str
    kind: int
    data: bytes


@dataclass(frozen=True)
class _Tensor:
    """An input or output of the model."""

    name: str
    description: str
    files: tuple[_File, ...] = ()


def add_metadata(data: bytes, model: Exportable, scheme: Scheme) -> bytes:
    """Let a flatbuffer tell what it is, and carry its labels and vocabulary.

    The vocabulary goes into files of float weights: in a quantized one it would be a tenth of the
    bytes. The bundle has it either way, and the digest of it is in both.

    Args:
        data: The flatbuffer.
        model: What it was made of.
        scheme: Of the artifact.

    Returns:
        The flatbuffer with the metadata, followed by a zip archive of the files. The same
        arguments give the same bytes.
    """
    identity = identity_of(model, "litert", scheme)
    about = _File("gatelet.json", "what this file is", 0, json.dumps(identity).encode())
    labels = _File("labels.txt", "a label a line", _LABELS, _lines(model.labels))
    inputs = [
        _Tensor(one["name"], f"{one['description']}; {one['type']} {one['shape']}")
        for one in identity["inputs"]
    ]
    if model.vectorizer is not None and scheme.weights != "int8":
        words = vocabulary_lines(model.vectorizer)
        vocabulary = _File(_VOCABULARY_FILE, "a word a line, from id 0", _VOCABULARY, words)
        inputs[0] = _Tensor(inputs[0].name, inputs[0].description, (vocabulary,))
    outputs = [_Tensor(name, "scores") for name in model.graph.outputs]
    if model.labels:
        outputs[0] = _Tensor(outputs[0].name, outputs[0].description, (labels,))
    described = _with_description(data, identity, inputs, outputs, about)
    files = [file for one in (*inputs, *outputs) for file in one.files]
    return _with_files(described, [about, *files])


def carried_bytes(data: bytes) -> int:
    """Return what the vocabulary takes in a file that `add_metadata` gave, 0 where it has none."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {one.filename: one.compress_size for one in archive.infolist()}
    return sizes.get(_VOCABULARY_FILE, 0)


def _lines(texts: Sequence[str]) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode("utf-8", "backslashreplace")


def _with_files(data: bytes, files: Sequence[_File]) -> bytes:
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        for one in files:
            entry = zipfile.ZipInfo(one.name, _EARLIEST)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, one.data)
    return out.getvalue()


def _with_description(
    data: bytes,
    identity: Mapping[str, Any],
    inputs: Sequence[_Tensor],
    outputs: Sequence[_Tensor],
    about: _File,
) -> bytes:
    """Store the metadata among the buffers, tensors in the order of the model's own."""
    import numpy as np
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    (signature,) = model.signatureDefs
    main = model.subgraphs[signature.subgraphIndex]
    inputs = _in_order(inputs, signature.inputs, main.inputs)
    outputs = _in_order(outputs, signature.outputs, main.outputs)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(_metadata(identity, inputs, outputs, about), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = _ENTRY, len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    model.description = f"{identity['model']}, exported by gatelet {identity['gatelet']}"
    builder = _builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _in_order(
    found: Sequence[_Tensor], listed: Sequence[Any], indices: Sequence[int]
) -> list[_Tensor]:
    by_name = {one.name: one for one in found}
    names = {int(one.tensorIndex): one.name.decode() for one in listed}
    return [by_name[names[int(index)]] for index in indices]


def _builder(size: int) -> Any:
    import flatbuffers

    class Builder(flatbuffers.Builder):  # type: ignore[misc]  # flatbuffers has no types
        """Aligns buffers as the schema asks, which Python's own does not, and stores none twice."""

        def __init__(self) -> None:
            super().__init__(size + 4096)
            self._known: dict[tuple[str, bytes], Offset] = {}

        def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Offset:  # noqa: N802, N803
            alignment = _ALIGNMENT_BYTES if elemSize == 1 else alignment
            return super().StartVector(elemSize, numElems, alignment)

        def CreateNumpyVector(self, x: Any) -> Offset:  # noqa: N802
            key = (x.dtype.str, x.tobytes())
            if key not in self._known:
                self._known[key] = super().CreateNumpyVector(x)
            return self._known[key]

    return Builder()


def _metadata(
    identity: Mapping[str, Any],
    inputs: Sequence[_Tensor],
    outputs: Sequence[_Tensor],
    about: _File,
) -> bytes:
    """Write a ModelMetadata table; the numbers are the places of its fields in the schema."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    subgraph = _table(
        builder,
        {2: _vector(builder, [_tensor(builder, one) for one in inputs])}
        | {3: _vector(builder, [_tensor(builder, one) for one in outputs])},
    )
    description = (
        f"scheme {identity['scheme']}, graph {identity['graph_sha256']}, weights "
        f"{identity['weights_sha256']}; {about.name} says more"
    )
    fields = {
        0: builder.CreateString(identity["model"]),
        1: builder.CreateString(description),
        2: builder.CreateString(identity["gatelet"]),
        3: _vector(builder, [subgraph]),
        4: builder.CreateString("gatelet"),
        6: _vector(builder, [_associated(builder, about)]),
        7: builder.CreateString(_MINIMAL_PARSER),
    }
    builder.Finish(_table(builder, fields), b"M001")
    return bytes(builder.Output())


def _tensor(builder: Any, one: _Tensor) -> Offset:
    fields = {0: builder.CreateString(one.name), 1: builder.CreateString(one.description)}
    if one.files:
        fields[6] = _vector(builder, [_associated(builder, file) for file in one.files])
    return _table(builder, fields)


def _associated(builder: Any, one: _File) -> Offset:
    name, description = builder.CreateString(one.name), builder.CreateString(one.description)
    return _table(builder, {0: name, 1: description}, kind=one.kind)


def _table(builder: Any, fields: Mapping[int, Offset], *, kind: int = 0) -> Offset:
    builder.StartObject(9)
    for slot, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    if kind:
        builder.PrependInt8Slot(2, kind, 0)
    return builder.EndObject()


def _vector(builder: Any, offsets: Sequence[Offset]) -> Offset:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
