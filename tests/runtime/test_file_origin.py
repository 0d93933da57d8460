"""A bundle's file that is found alone leads back to it, read with the formats' own libraries."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest

from gatelet.runtime.bundle.opening import open_bundle

PARTS = ("graph", "weights", "vectorizer")


def of_onnx(path: Path) -> dict[str, str]:
    properties = {one.key: one.value for one in onnx.load(str(path)).metadata_props}
    return {name: properties[f"gatelet.{name}_sha256"] for name in PARTS}


def of_litert(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        told = json.loads(archive.read("gatelet.json"))
    return {name: told[f"{name}_sha256"] for name in PARTS}


def of_tflm(path: Path) -> dict[str, str]:
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    (found,) = (one for one in entries if one.Name() == b"gatelet.json")
    told = json.loads(model.Buffers(found.Buffer()).DataAsNumpy().tobytes())
    return {name: told[f"{name}_sha256"] for name in PARTS}


@pytest.mark.parametrize(
    ("target", "read"),
    [("litert", of_litert), ("onnx", of_onnx), ("onnx-text", of_onnx), ("tflm", of_tflm)],
)
def test_a_file_names_the_parts_of_its_bundle_by_their_digests(
    every_target_bundle: Path, target: str, read: Any
) -> None:
    bundle = open_bundle(every_target_bundle)
    (artifact,) = (one for one in bundle.artifacts if one.target == target)
    parts = {name: every_target_bundle / bundle.manifest[name] for name in PARTS}
    digests = {name: hashlib.sha256(one.read_bytes()).hexdigest() for name, one in parts.items()}
    assert read(every_target_bundle / artifact.path) == digests
