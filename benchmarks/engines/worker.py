"""Runs in the environment of one engine: loads a model, and answers measurements line by line.

Not the comparison: see __main__.py. Standard library, and the one engine.
"""

from __future__ import annotations

import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # what a start is measured with imports little
    import random
    from collections.abc import Callable
    from typing import Any

    Rows = list[list[int]]
    Prepare = Callable[[Rows], Any]
    Call = Callable[[Any], Any]

WARM_UP_CALLS = 5


def open_gatelet(spec: dict[str, Any]) -> tuple[Prepare, Call]:
    """Open a bundle's artifact with the Predictor."""
    from gatelet.runtime import load

    if spec["level"]:
        os.environ["GATELET_LEVEL"] = spec["level"]
    predictor = load(spec["model"], target=spec["target"], scheme=spec["scheme"])
    if not spec["arrays"]:
        return (lambda rows: rows), predictor.scores
    import numpy as np

    return _int32(np), predictor.scores


def open_onnxruntime(spec: dict[str, Any]) -> tuple[Prepare, Call]:
    """Open an ONNX file."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(spec["model"], options)
    return _int32(np), lambda ids: session.run(None, {"ids": ids})[0]


def open_openvino(spec: dict[str, Any]) -> tuple[Prepare, Call]:
    """Open an ONNX file; OpenVINO rounds to bfloat16 where it may and the processor has it."""
    import numpy as np
    import openvino

    settings: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    if spec["scheme"] == "float32":
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    request = openvino.compile_model(spec["model"], "CPU", settings).create_infer_request()
    return _int32(np), lambda ids: request.infer({0: ids})[0]


def open_ai_edge_litert(spec: dict[str, Any]) -> tuple[Prepare, Call]:
    """Open a TFLite file with LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    return _interpreter(Interpreter(model_path=spec["model"], num_threads=1))


def open_tflite_runtime(spec: dict[str, Any]) -> tuple[Prepare, Call]:
    """Open a TFLite file with tflite-runtime."""
    from tflite_runtime.interpreter import Interpreter

    return _interpreter(Interpreter(model_path=spec["model"], num_threads=1))


def _interpreter(interpreter: Any) -> tuple[Prepare, Call]:
    import numpy as np

    given = interpreter.get_input_details()[0]
    at_once = None if given["shape_signature"][0] == -1 else int(given["shape_signature"][0])
    shape: list[tuple[int, ...]] = [()]

    def call_once(ids: Any) -> Any:
        if shape[0] != ids.shape:
            interpreter.resize_tensor_input(given["index"], ids.shape)
            interpreter.allocate_tensors()
            shape[0] = ids.shape
        interpreter.set_tensor(given["index"], ids)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    def call(ids: Any) -> Any:
        if at_once is None or len(ids) == at_once:
            return call_once(ids)
        return np.concatenate([call_once(ids[i : i + at_once]) for i in range(len(ids))])

    return _int32(np), call


def open_pytorch(spec: dict[str, Any]) -> tuple[Prepare, Call]:
    """Build the same network of its weights: Embedding, LSTM, Dense and a sigmoid."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    with np.load(spec["model"]) as found:
        weights = {name: torch.from_numpy(found[name].copy()) for name in found.files}
    kernel, recurrent = weights["kernel"], weights["recurrent_kernel"]
    embedding = torch.nn.Embedding.from_pretrained(weights["embeddings"])
    lstm = torch.nn.LSTM(len(kernel), len(recurrent), batch_first=True)
    bias = weights["bias"]
    for name, value in (
        ("weight_ih_l0", kernel.T),  # the gates i, f, g, o stand in the same order
        ("weight_hh_l0", recurrent.T),
        ("bias_ih_l0", bias),
        ("bias_hh_l0", torch.zeros_like(bias)),
    ):
        getattr(lstm, name).copy_(value)

    class Network(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.lstm = embedding, lstm
            self.kernel = torch.nn.Parameter(weights["dense_kernel"])
            self.bias = torch.nn.Parameter(weights["dense_bias"])

        def forward(self, ids: Any) -> Any:
            _, (h, _) = self.lstm(self.embedding(ids))
            return torch.sigmoid(h[-1] @ self.kernel + self.bias)

    network = Network().eval()

    def prepare(rows: Rows) -> Any:
        return torch.tensor(rows, dtype=torch.int64)

    return prepare, lambda ids: network(ids).numpy()


def open_keras(spec: dict[str, Any]) -> tuple[Prepare, Call]:
    """Load the Keras file, and trace it once for any batch."""
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    model = keras.saving.load_model(spec["model"], compile=False)
    signature = [tf.TensorSpec((None, spec["timesteps"]), tf.int32)]
    traced = tf.function(lambda ids: model(ids, training=False), input_signature=signature)
    return (lambda rows: tf.constant(np.array(rows, np.int32))), lambda ids: traced(ids).numpy()


def _int32(np: Any) -> Prepare:
    return lambda rows: np.array(rows, np.int32)


OPENERS = {
    "gatelet": open_gatelet,
    "onnxruntime": open_onnxruntime,
    "openvino": open_openvino,
    "ai-edge-litert": open_ai_edge_litert,
    "tflite-runtime": open_tflite_runtime,
    "pytorch": open_pytorch,
    "keras": open_keras,
}


def draw(rng: random.Random, rows: int, tokens: int, spec: dict[str, Any]) -> Rows:
    """Draw rows of ids, padded in front to all timesteps."""
    padding = [0] * (spec["timesteps"] - tokens)
    last = spec["vocabulary"] - 1
    return [padding + [rng.randint(1, last) for _ in range(tokens)] for _ in range(rows)]


def answer(request: dict[str, Any], spec: dict[str, Any], prepare: Prepare, call: Call) -> Any:
    """Return the microseconds of each call, or the scores of rows that are given."""
    if "ids" in request:
        return [[float(x) for x in row] for row in call(prepare(request["ids"]))]
    import random

    rng, taken = random.Random(request["seed"]), []
    for _ in range(WARM_UP_CALLS + request["calls"]):
        ids = prepare(draw(rng, request["rows"], request["tokens"], spec))
        start = time.process_time_ns()
        call(ids)
        taken.append((time.process_time_ns() - start) / 1e3)
    return taken[WARM_UP_CALLS:]


def status() -> dict[str, float]:
    """Return the processor ms since this process began, and its peak memory in MB."""
    with open("/proc/self/status") as file:  # noqa: PTH123  pathlib would count
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return {"start_ms": time.process_time() * 1e3, "peak_mb": peak / 1024}


def main() -> None:
    """Answer until the input ends; with 'once' predict once and tell what that cost."""
    spec = json.loads(sys.argv[1])
    prepare, call = OPENERS[spec["engine"]](spec)
    if sys.argv[2:] == ["once"]:
        real = min(20, spec["timesteps"])
        ids = [1 + 97 * i % (spec["vocabulary"] - 1) for i in range(real)]
        call(prepare([[0] * (spec["timesteps"] - real) + ids]))
        print(json.dumps(status()))
        return
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), spec, prepare, call)), flush=True)


if __name__ == "__main__":
    main()
