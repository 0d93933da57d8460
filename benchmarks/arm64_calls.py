"""What benchmarks/arm64_kernels.py runs under an arm64 Python: calls of one engine, one thread.

python arm64_calls.py ENGINE FOLDER FILE CALLS, where ENGINE is 'c' or 'onnx'. Prints the scores'
bytes in hexadecimal.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def opened_c(folder: Path, weights: Path, ids: Any) -> tuple[Callable[[], object], Any]:
    """Return a call of a library with kept buffers, and where its scores are."""
    import ctypes

    from gatelet.runtime.backends.c.library import open_library

    library = open_library(folder / "library.so")
    sizes = (ctypes.c_int32 * 1)(ids.shape[1])
    scores = np.zeros(1, np.float32)
    held = aligned(np.frombuffer(weights.read_bytes(), np.uint8))
    scratch = aligned(np.zeros(library.scratch_bytes(1, sizes), np.uint8))
    inputs = (ctypes.c_void_p * 1)(ids.ctypes.data)
    outputs = (ctypes.c_void_p * 1)(scores.ctypes.data)
    given = (held.ctypes.data, inputs, sizes, 1, outputs, scratch.ctypes.data)

    def call() -> None:
        if library.run(*given):
            sys.exit("the library refuses the row")

    # what `given` has only by address
    call.kept = (ids, held, scratch)  # type: ignore[attr-defined]
    return call, scores


def aligned(data: Any) -> Any:
    """Return a copy that begins at a multiple of 64 bytes."""
    room = np.zeros(len(data) + 64, np.uint8)
    start = -room.ctypes.data % 64
    room[start : start + len(data)] = data
    return room[start : start + len(data)]


def opened_onnx(_: Path, model: Path, ids: Any) -> tuple[Callable[[], object], Any]:
    """Return a call of a session with bound values, and where its scores are."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    scores = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((1, 1), np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_input("ids", onnxruntime.OrtValue.ortvalue_from_numpy(ids))
    binding.bind_ortvalue_output(session.get_outputs()[0].name, scores)
    return lambda: session.run_with_iobinding(binding), scores


def main() -> None:
    """Call, and print the scores of the last call."""
    engine, folder, file, calls = sys.argv[1:]
    ids = np.load(Path(folder) / "ids.npy")
    opened = {"c": opened_c, "onnx": opened_onnx}[engine]
    call, scores = opened(Path(folder), Path(folder) / file, ids)
    for _ in range(int(calls)):
        call()
    found = scores if isinstance(scores, np.ndarray) else scores.numpy()
    print(found.astype(np.float32).tobytes().hex())


if __name__ == "__main__":
    main()
