"""Runs ONNX artifacts with onnxruntime.

Not an exporter.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.errors import BackendError
from gatelet.runtime.backends.backend import AnyFile, first_line, place_or_bytes
from gatelet.runtime.backends.forks import abandon, renew_after_fork
from gatelet.runtime.backends.onnx_external import takes_other_files

_DTYPES: dict[str, Any] = {
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(string)": np.object_,
}
_ERRORS_ONLY = 3


def open_artifact(
    path: AnyFile, *, module: str, threads: int, companions: Mapping[str, AnyFile]
) -> "OnnxBackend":
    """Open an ONNX file.

    Args:
        path: The artifact.
        module: 'onnxruntime'.
        threads: For the engine's kernels.
        companions: It has none.

    Raises:
        BackendError: The file takes weights from another one, or nobody can tell.
    """
    import onnxruntime as engine

    def opens() -> Any:
        options = engine.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        providers = ["CPUExecutionProvider"]
        return engine.InferenceSession(place_or_bytes(path), options, providers=providers)

    takes_others = takes_other_files(path)
    if takes_others:
        raise _not_alone(path, "takes weights from another file, which the bundle does not list")
    backend = OnnxBackend(opens, engine=f"onnxruntime {engine.__version__}")
    if takes_others is None:  # what is no ONNX, the engine has refused in its own words
        raise _not_alone(path, "holds fields that are not ONNX' own, so that it cannot be checked")
    return backend


def _not_alone(path: AnyFile, why: str) -> BackendError:
    return BackendError(f"'{path.name}' {why}: convert the model again", target="onnx")


class OnnxBackend:
    """A session; onnxruntime itself may be called from several threads.

    Args:
        opens: Opens the session, in a forked child again; its inputs and outputs have the Graph's
            names.
        engine: Its package and version.
    """

    target = "onnx"

    def __init__(self, opens: Callable[[], Any], *, engine: str) -> None:
        self.engine = engine
        self._opens = opens
        self._session: Any = opens()
        renew_after_fork(self)
        session = self._session
        self._dtypes = {one.name: _DTYPES[one.type] for one in session.get_inputs()}
        self._outputs = [one.name for one in session.get_outputs()]

    def renew(self) -> None:
        """See `Renewable`: locks within the session may be held, and its threads are gone."""
        abandon(self._session)
        self._session = None

    def _opened(self) -> Any:
        session = self._session
        if session is None:  # no lock: of two threads each opens one, and one is kept
            session = self._session = self._opens()
        return session

    def run(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Run rows, at least one with at least one timestep; see `Backend.run`."""
        return self.run_to(self._outputs, inputs)

    def run_to(self, names: Sequence[str], inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Run rows as far as these outputs need it; see `run`."""
        arrays = {name: np.asarray(inputs[name], dtype) for name, dtype in self._dtypes.items()}
        for name, array in arrays.items():
            if not array.size:
                # its LSTM and GRU would end the process
                raise BackendError(
                    f"the engine {self.engine} needs at least one row and one timestep; "
                    f"'{name}' has the shape {list(array.shape)}",
                    target=self.target,
                )
        try:
            results = self._opened().run(names, arrays, self._partly(names))
        except Exception as error:  # onnxruntime's errors share no class but this
            raise BackendError(
                f"the engine {self.engine} failed: {first_line(error)}", target=self.target
            ) from error
        return dict(zip(names, results, strict=True))

    def _partly(self, names: Sequence[str]) -> Any:
        """Return options that leave out what other outputs need; None where all are wanted."""
        if len(names) == len(self._outputs):
            return None
        import onnxruntime as engine

        options = engine.RunOptions()
        options.only_execute_path_to_fetches = True
        return options
