"""What a file says of itself: which model it is, which bundle it is of, what goes in and comes out.

Not the writing of it into a file, which each exporter does in its format's own way.
"""

import functools
import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import Any

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.schemes import Scheme
from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import encode
from gatelet.runtime.vectorizer.opening import AnyVectorizer


def identity_of(model: Exportable, target: str, scheme: Scheme) -> dict[str, Any]:
    """Describe an artifact.

    Args:
        model: What is exported.
        target: Of the artifact.
        scheme: Likewise.

    Returns:
        JSON values by name. The digests are those that the bundle's manifest lists for its graph,
        weights and vectorizer, so a file that is found alone leads to its bundle.
    """
    found: dict[str, Any] = {
        "model": model.name,
        "gatelet": importlib.metadata.version("gatelet"),
        "target": target,
        "scheme": scheme.name,
        "graph_sha256": _sha256(model.graph.to_json().encode()),
        "weights_sha256": _sha256(encode(model.graph.weights)),
        "labels": list(model.labels),
        "threshold": model.threshold,
        "inputs": _TEXT if row_of(target).takes_texts else _inputs(model.graph),
        "outputs": [
            {"name": name, "shape": list(model.graph.shape_of(name))}
            for name in model.graph.outputs
        ],
    }
    if model.decisions:
        found["decisions"] = [one.to_json() for one in model.decisions]
    if model.vectorizer is not None:
        spec = model.vectorizer.to_json()
        found["vectorizer_sha256"] = _sha256(spec.encode())
        settings = json.loads(spec)
        settings.pop("vocabulary", None)
        found["vectorizer"] = settings
    return found


_TEXT = [
    {
        "name": "text",
        "type": "string",
        "shape": [None],
        "description": "a text a row, UTF-8; where the vectorizer's 'lower' is true, lower-cased "
        "by the caller with Unicode's full mapping, as Python's str.lower and JavaScript's "
        "toLowerCase do",
    }
]


def _inputs(graph: Graph) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "type": one.dtype,
            "shape": list(one.shape),
            "description": (
                "token ids, 0 is padding" if one.dtype == "int32" else "features, finite numbers"
            ),
            **({"vocabulary": one.vocabulary} if one.vocabulary is not None else {}),
        }
        for one in graph.inputs
    ]


def vocabulary_lines(vectorizer: AnyVectorizer) -> bytes:
    r"""Return a word a line, UTF-8: line n, counted from 0, has the word of id n, or nothing.

    In a word, a backslash is written as \\, a line break as \n or \r, and half of a surrogate pair
    as \udXXX. Of words that share an id, the first is given.
    """
    by_id: dict[int, str] = {}
    for word, number in vectorizer.vocabulary.items():
        by_id.setdefault(number, word)
    words = (by_id.get(number, "") for number in range(max(by_id, default=-1) + 1))
    escaped = (
        word.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r") for word in words
    )
    return "".join(f"{word}\n" for word in escaped).encode("utf-8", "backslashreplace")


_ROOMS = ("reading", "lowering", "passes", "exporters")


@functools.cache
def code_sha256() -> str:
    """Return the digest of the code that makes files of a model: the same makes the same files."""
    digest, convert = hashlib.sha256(), Path(__file__).parent.parent
    for room in _ROOMS:
        for path in sorted((convert / room).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
