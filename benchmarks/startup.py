"""What a start costs in processor time: `python benchmarks/startup.py BUNDLE`.

Processes in turn: bare Python against `import gatelet.runtime`, and for litert and onnx the engine
imported and the bare model run against `gatelet predict`. Not a test: it judges nothing.
"""

import statistics
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from gatelet.runtime import open_bundle

ROUNDS = 15
TEXT = "a wonderful film"

BARE = {
    "litert": """
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path={path!r})
index, output = model.get_input_details()[0]["index"], model.get_output_details()[0]["index"]
model.resize_tensor_input(index, (1, {maxlen}))
model.allocate_tensors()
model.set_tensor(index, np.ones((1, {maxlen}), np.int32))
model.invoke()
print(model.get_tensor(output))
""",
    "onnx": """
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession({path!r}, providers=["CPUExecutionProvider"])
print(session.run(None, {{"ids": np.ones((1, {maxlen}), np.int32)}}))
""",
}


def main(path: str) -> None:
    """Measure every pair in turn."""
    bundle = open_bundle(path)
    vectorizer = bundle.vectorizer()
    assert vectorizer is not None
    pairs = {"import gatelet.runtime": ("pass", "import gatelet.runtime")}
    for artifact in bundle.artifacts:
        if artifact.scheme == "float32" and artifact.target in BARE:
            model = str(Path(path) / artifact.path)
            bare = BARE[artifact.target].format(path=model, maxlen=vectorizer.maxlen)
            words = ["predict", path, TEXT, "--target", artifact.target, "--scheme", "float32"]
            ours = f"import sys; sys.argv[1:] = {words!r}; import gatelet.__main__ as m; m.main()"
            pairs[f"gatelet predict, {artifact.target}"] = (bare, ours)
    print("what                       bare_ms  ours_ms  added_ms  (medians of processor time)")
    for name, scripts in pairs.items():
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(ROUNDS + 1):
            for script, taken in zip(scripts, times, strict=True):
                spent = processor_ms(script)
                if number:  # the first round fills the caches of files
                    taken.append(spent)
        added = statistics.median(b - a for a, b in zip(*times, strict=True))
        bare_ms, ours_ms = map(statistics.median, times)
        print(f"{name:26} {bare_ms:7.1f}  {ours_ms:7.1f}  {added:8.1f}")


def processor_ms(script: str) -> float:
    """Give the processor time, user and system, of a process from its start to its end."""
    before = getrusage(RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    after = getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr)
    spent = after.ru_utime - before.ru_utime
    return 1000 * (spent + after.ru_stime - before.ru_stime)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} BUNDLE")
    main(sys.argv[1])
