"""Runs ONNX artifacts that take texts: the vectorizer is in the file.

Not an exporter, and not lower-casing, which the Predictor does where the vectorizer asks for it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.backends.backend import AnyFile
from gatelet.runtime.backends.onnx import OnnxBackend
from gatelet.runtime.backends.onnx import open_artifact as open_onnx
from gatelet.runtime.vectorizer.surrogates import as_utf8


def open_artifact(
    path: AnyFile, *, module: str, threads: int, companions: Mapping[str, AnyFile]
) -> "OnnxTextBackend":
    """Open an ONNX file whose input is `text`; see `gatelet.runtime.backends.onnx`."""
    opened = open_onnx(path, module=module, threads=threads, companions=companions)
    return OnnxTextBackend(opened)


class OnnxTextBackend:
    """A session that is given texts.

    Args:
        backend: Of the file.
    """

    target = "onnx-text"

    def __init__(self, backend: OnnxBackend) -> None:
        self.engine = backend.engine
        self._backend = backend

    def run(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Run texts, at least one; see `Backend.run`."""
        return self._backend.run(_feed(inputs["text"]))

    def ids_of_texts(self, name: str, texts: Sequence[str]) -> NDArray[Any]:
        """Return the ids that the file makes of texts, int32 [B, T]; the model does not run.

        Args:
            name: Of the Graph's input of ids, which the file gives as an output.
            texts: At least one, lower-cased where the vectorizer asks for it.
        """
        return self._backend.run_to((name,), _feed(texts))[name]


def _feed(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    return {"text": np.array([as_utf8(text) for text in texts], object)}
