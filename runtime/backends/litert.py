"""Runs LiteRT artifacts with ai-edge-litert, or with its predecessor tflite-runtime.

Not an exporter.
"""

import contextlib
import importlib
import io
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.errors import BackendError
from gatelet.runtime.backends.backend import AnyFile, first_line, place_or_bytes
from gatelet.runtime.backends.forks import abandon, renew_after_fork


def open_artifact(
    path: AnyFile, *, module: str, threads: int, companions: Mapping[str, AnyFile]
) -> "LitertBackend":
    """Open a flatbuffer.

    Args:
        path: The artifact.
        module: 'ai_edge_litert' or 'tflite_runtime'.
        threads: For the engine's kernels.
        companions: It has none.
    """
    package = module.replace("_", "-")
    # before its version, which an engine that cannot open anything may not tell
    opened = LitertBackend(partial(_interpreter, path, module=module, threads=threads), package)
    version = getattr(importlib.import_module(module), "__version__", None)
    if version is None:
        from importlib.metadata import version as version_of

        version = version_of(package)
    opened.engine = f"{package} {version}"
    return opened


def _interpreter(path: AnyFile, *, module: str, threads: int) -> Any:
    """Open a flatbuffer in an engine.

    Raises:
        BackendError: The engine was built for another NumPy.
    """
    kind = importlib.import_module(f"{module}.interpreter").Interpreter
    model = place_or_bytes(path)
    given = {"model_path" if isinstance(model, str) else "model_content": model}
    if module != "tflite_runtime" or int(np.__version__.partition(".")[0]) < 2:
        return kind(**given, num_threads=threads)
    try:
        # NumPy writes a page about what the message below says in a line
        with contextlib.redirect_stderr(io.StringIO()):
            return kind(**given, num_threads=threads)
    except SystemError as error:
        raise BackendError(
            f"tflite-runtime was built for NumPy 1, and NumPy {np.__version__} is installed: pip "
            "install 'numpy<2', or 'gatelet[litert]'",
            target="litert",
        ) from error


class LitertBackend:
    """An interpreter, resized to each batch.

    Args:
        opens: Opens the interpreter, in a forked child again; it has one signature, whose names
            are the Graph's.
        engine: Its package and version.
    """

    target = "litert"

    def __init__(self, opens: Callable[[], Any], engine: str) -> None:
        self.engine = engine
        self._opens = opens
        self._interpreter: Any = opens()
        self._lock = threading.Lock()
        (key,) = self._interpreter.get_signature_list()
        signature = self._interpreter.get_signature_runner(key)
        inputs = signature.get_input_details()
        self._inputs = {name: int(one["index"]) for name, one in inputs.items()}
        self._dtypes = {int(one["index"]): one["dtype"] for one in inputs.values()}
        self._outputs = {
            name: int(one["index"]) for name, one in signature.get_output_details().items()
        }
        self._shapes: tuple[tuple[int, ...], ...] | None = None
        renew_after_fork(self)

    def renew(self) -> None:
        """See `Renewable`: a call may have been in the middle of the interpreter."""
        self._lock = threading.Lock()
        self._shapes = None
        abandon(self._interpreter)
        self._interpreter = None

    def run(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Run rows; see `Backend.run`."""
        arrays = [
            (index, np.asarray(inputs[name], self._dtypes[index]))
            for name, index in self._inputs.items()
        ]
        shapes = tuple(array.shape for _, array in arrays)
        with self._lock:
            if self._interpreter is None:
                self._interpreter = self._opens()
            try:
                if shapes != self._shapes:
                    self._shapes = None
                    for index, array in arrays:
                        self._interpreter.resize_tensor_input(index, array.shape)
                    self._interpreter.allocate_tensors()
                for index, array in arrays:
                    self._interpreter.set_tensor(index, array)
                self._interpreter.invoke()
                self._shapes = shapes
                return {
                    name: self._interpreter.get_tensor(index)
                    for name, index in self._outputs.items()
                }
            except (RuntimeError, ValueError) as error:
                # what was allocated may be half done: the next call starts over
                self._shapes = None
                raise BackendError(
                    f"the engine {self.engine} failed: {first_line(error)}", target=self.target
                ) from error
