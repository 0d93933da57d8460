"""A small model of texts without TensorFlow, and what changes files of its bundle consistently.

Not tests.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import numpy as np

from gatelet.convert import convert_with_report
from gatelet.convert.exporters.c.build import Library, kernel_object, run_compiler
from gatelet.convert.parity import ParityReport
from gatelet.convert.parity.report import Check
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.data.dataset import Dataset, write_jsonl
from gatelet.runtime.predictor.loading import open_graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from tests.convert.exporters.c_builds import LIBRARY, STRICT
from tests.convert.reading.hostile_files import write_keras

UNITS, WIDTH = 6, 4
SEED = 4
WORDS = tuple(
    "".join(letters) for letters in product("bdgkl", ("a", "eu", "ö", "o"), "mnrß", "aeiou")
)
"""Four hundred: some change their length in capitals, some come back from them as others."""


def build_quickly(
    linked: str, levels: str, platforms: Sequence[str] = (), *, scratch: Path | None = None
) -> list[Library]:
    """Build one level of a C library only; in place of `build_libraries`, which takes seconds."""
    with TemporaryDirectory(dir=scratch) as folder:
        source, made = Path(folder) / "model.c", Path(folder) / "library.so"
        source.write_text(linked, "utf-8")
        kernels = kernel_object(["gcc"], ("-O1", *STRICT))
        run_compiler(["gcc", *STRICT, "-O1", *LIBRARY, "-o", str(made), str(source), str(kernels)])
        return [Library(host_platform(), ".so", made.read_bytes())]


def texts_of(words: Sequence[str], *, rows: int = 120, longest: int = 14) -> tuple[str, ...]:
    """Draw texts of words, the same every time; the last tenth of the words is in none of them."""
    rng = np.random.default_rng(3)
    known = words[: len(words) * 9 // 10]
    return tuple(
        " ".join(known[word] for word in rng.integers(0, len(known), rng.integers(1, longest)))
        for _ in range(rows)
    )


def write_model(
    path: Path, vectorizer: AnyVectorizer, layer: Mapping[str, Any] = MappingProxyType({})
) -> Path:
    """Write Embedding, LSTM and one sigmoid score as Keras saves them, with seeded weights.

    Args:
        path: Of the file.
        vectorizer: That makes its ids.
        layer: The settings of a TextVectorization layer to begin with; {} for a model of ids.
    """
    size, maxlen = vectorizer.vocabulary_size, vectorizer.maxlen
    embedding = ("Embedding", {"name": "words", "input_dim": size, "output_dim": WIDTH})
    taken: dict[str, Any] = {"name": "ids", "batch_shape": [None, maxlen], "dtype": "int32"}
    before = [embedding]
    if layer:
        taken = {"name": "texts", "batch_shape": [None, 1], "dtype": "string"}
        before.insert(0, ("TextVectorization", dict(layer)))
    return _write(path, taken, before, {"layers/embedding/vars": [(size, WIDTH)]}, "sigmoid")


def write_regression(path: Path) -> Path:
    """Write an LSTM over features [6, 4] and one value, likewise."""
    features = {"name": "features", "batch_shape": [None, 6, WIDTH], "dtype": "float32"}
    return _write(path, features, [], {}, "linear")


def _write(
    path: Path,
    taken: dict[str, Any],
    before: list[tuple[str, dict[str, Any]]],
    weights: dict[str, list[tuple[int, ...]]],
    activation: str,
) -> Path:
    layers = [
        ("InputLayer", taken),
        *before,
        ("LSTM", {"name": "lstm", "units": UNITS}),
        ("Dense", {"name": "score", "units": 1, "activation": activation}),
    ]
    config = {
        "class_name": "Sequential",
        "config": {
            "name": "model",
            "layers": [{"class_name": name, "config": settings} for name, settings in layers],
        },
    }
    rng = np.random.default_rng(SEED)

    def fill(file: Any) -> None:
        shapes = {
            **weights,
            "layers/lstm/cell/vars": [(WIDTH, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,)],
            "layers/dense/vars": [(UNITS, 1), (1,)],
        }
        for group, found in shapes.items():
            made = file.create_group(group)
            for place, shape in enumerate(found):
                made[str(place)] = (2 * rng.normal(size=shape)).astype(np.float32)

    return write_keras(path, config=config, weights=fill)


def convert_texts(
    folder: Path, vectorizer: AnyVectorizer, targets: Sequence[str], *, labels: bool = False
) -> tuple[Path, ParityReport]:
    """Convert that model to float32 artifacts, judged on texts.

    Args:
        folder: Gets the bundle, and the texts as texts.jsonl.
        vectorizer: Of the model.
        targets: Of the artifacts.
        labels: Label the texts, so that the model decides four in five rightly.

    Returns:
        The bundle, and the report of the conversion.
    """
    model = write_model(folder / "model.keras", vectorizer)
    given: dict[str, Any] = {"vectorizer": vectorizer, "with_keras": False, "schemes": ("float32",)}
    rows = Dataset(texts_of(WORDS), None, "texts.jsonl")
    if labels:
        bare, _ = convert_with_report(model, folder / "bare", targets=("onnx",), **given)
        said = [one.label or "" for one in open_graph(bare, "reference").predict(list(rows.texts))]
        other = {"0": "1", "1": "0"}
        right = tuple(label if row % 5 else other[label] for row, label in enumerate(said))
        rows = replace(rows, labels=right)
    write_jsonl(rows, folder / rows.name)
    out = folder / "bundle"
    _, report = convert_with_report(model, out, targets=tuple(targets), data=rows, **given)
    return out, report


def change_file(bundle: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file of a bundle, and repair its length and digest in the manifest."""
    data = change((bundle / name).read_bytes())
    assert data != (bundle / name).read_bytes(), "nothing was changed"
    (bundle / name).write_bytes(data)
    manifest = read_manifest(bundle)
    for entry in (*manifest["files"], *manifest["artifacts"]):
        if entry["path"] == name:
            entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    write_manifest(bundle, manifest)
    open_bundle(bundle)


def read_manifest(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "manifest.json").read_bytes())
    return found


def write_manifest(bundle: Path, manifest: dict[str, Any]) -> None:
    (bundle / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def in_json(**fields: Any) -> Callable[[bytes], bytes]:
    """Return what sets fields of a JSON file."""
    return lambda data: json.dumps(json.loads(data) | fields).encode()


def failed(report: ParityReport, target: str) -> dict[str, Check]:
    """Return the checks that a target's artifacts failed, by name."""
    return {
        check.name: check
        for one in report.artifacts
        if one.target == target
        for check in one.checks
        if check.verdict == "fail"
    }
