"""Run by test_old_engines.py in an environment that has one engine and NumPy; not a test.

Usage: python old_engines.py ENGINE FOLDER: runs each FOLDER/NAME.tflite or .onnx on the rows of
FOLDER/NAME.npz, one by one, and writes each row's scores to FOLDER/NAME-ENGINE.npz.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np


def _litert(path: Path) -> Any:
    from tflite_runtime.interpreter import Interpreter  # no other engine is installed there

    interpreter = Interpreter(model_path=str(path), num_threads=1)
    (key,) = interpreter.get_signature_list()
    signature = interpreter.get_signature_list()[key]
    runner = interpreter.get_signature_runner(key)
    inputs = {name: one["index"] for name, one in runner.get_input_details().items()}
    outputs = {name: one["index"] for name, one in runner.get_output_details().items()}
    assert set(inputs) == set(signature["inputs"])

    def run(feed: dict[str, Any]) -> dict[str, Any]:
        for name, array in feed.items():
            interpreter.resize_tensor_input(inputs[name], array.shape)
        interpreter.allocate_tensors()
        for name, array in feed.items():
            interpreter.set_tensor(inputs[name], array)
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in outputs.items()}

    return run


def _onnx(path: Path) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, feed), strict=True))


def main(engine: str, folder: Path) -> None:
    """Run all files of a folder that the engine is for."""
    open_file, suffix = (_onnx, ".onnx") if engine.startswith("onnx") else (_litert, ".tflite")
    for path in sorted(folder.glob(f"*{suffix}")):
        run = open_file(path)
        with np.load(path.with_suffix(".npz")) as found:
            inputs = {name: found[name] for name in found.files}
        scores: dict[str, Any] = {}
        for index in range(len(next(iter(inputs.values())))):
            feed = {name: array[index : index + 1] for name, array in inputs.items()}
            if "-open-" in path.name:  # 1, 2, 3 ... timesteps, so sizes change at every call
                feed = {name: x[:, : 1 + index % x.shape[1]] for name, x in feed.items()}
            scores |= {f"{name}-{index}": given for name, given in run(feed).items()}
        np.savez(path.with_name(f"{path.stem}-{engine}.npz"), **scores)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
