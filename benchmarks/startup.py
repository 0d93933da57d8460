"""What a start costs: `python benchmarks/startup.py BUNDLE`.

First in processor time, processes in turn: bare Python against `import gatelet.runtime`, and for
litert and onnx the engine imported and the bare model run against `gatelet predict`. Then from the
start of a process to its first prediction, over bare Python: gatelet's c target beside the engines
alone, time and peak memory. Python's bytecode cache counts: set PYTHONDONTWRITEBYTECODE to see the
start without one. Not a test: it judges nothing.
"""

import importlib.util
import statistics
import subprocess
import sys
import time
from resource import RUSAGE_CHILDREN, getrusage
from typing import NamedTuple

from gatelet.runtime import Bundle, open_bundle

ROUNDS = 15
TEXT = "a wonderful film"

BARE = {
    "litert": """
import numpy as np
from {module} import Interpreter
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


LITERT = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
OURS = """
from gatelet.runtime import load
predictor = load({path!r}, target={target!r}, scheme="float32")
print(predictor.{call})
"""
PEAK = """
import sys
# ru_maxrss would begin with the memory of the process that started this one
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0], file=sys.stderr)
"""


def main(path: str) -> None:
    """Measure and print."""
    bundle = open_bundle(path)
    vectorizer = bundle.vectorizer()
    assert vectorizer is not None
    bare = bare_scripts(bundle, vectorizer.maxlen)
    compare_commands(path, bare)
    compare_first_predictions(path, bare, vectorizer.pad(TEXT))


def bare_scripts(bundle: Bundle, maxlen: int) -> dict[str, str]:
    """Return the least that a user of each engine alone would write, by the engine's name."""
    scripts = {}
    for artifact in bundle.artifacts:
        model = str(bundle.path / artifact.path)
        is_here = importlib.util.find_spec("onnxruntime") is not None
        if artifact.scheme == "float32" and artifact.target == "onnx" and is_here:
            scripts["onnxruntime"] = BARE["onnx"].format(path=model, maxlen=maxlen)
        if artifact.target == "litert" and artifact.scheme == "float32":
            for module, name in LITERT.items():
                if importlib.util.find_spec(module) and name in (artifact.engines or (name,)):
                    scripts[name] = BARE["litert"].format(
                        path=model, maxlen=maxlen, module=f"{module}.interpreter"
                    )
    return scripts


def compare_commands(path: str, bare: dict[str, str]) -> None:
    """Measure every pair in turn."""
    pairs = {"import gatelet.runtime": ("pass", "import gatelet.runtime")}
    for name, script in bare.items():
        target = "onnx" if name == "onnxruntime" else "litert"
        words = ["predict", path, TEXT, "--target", target, "--scheme", "float32"]
        ours = f"import sys; sys.argv[1:] = {words!r}; import gatelet.__main__ as m; m.main()"
        pairs[f"gatelet predict, {target}"] = (script, ours)
    print("what                       bare_ms  ours_ms  added_ms  (medians of processor time)")
    for name, scripts in pairs.items():
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(ROUNDS + 1):
            for script, taken in zip(scripts, times, strict=True):
                spent = start(script).processor_ms
                if number:  # the first round fills the caches of files
                    taken.append(spent)
        added = statistics.median(b - a for a, b in zip(*times, strict=True))
        bare_ms, ours_ms = map(statistics.median, times)
        print(f"{name:26} {bare_ms:7.1f}  {ours_ms:7.1f}  {added:8.1f}")


def compare_first_predictions(path: str, bare: dict[str, str], ids: list[int]) -> None:
    """Measure processes up to their first prediction, over one that does nothing, in turn."""
    texts, rows = f"predict([{TEXT!r}])", f"scores({[ids]!r})"
    scripts = {"bare Python": "", **{f"{name} alone": script for name, script in bare.items()}}
    scripts["gatelet c, ids"] = OURS.format(path=path, target="c", call=rows)
    scripts["gatelet c, text"] = OURS.format(path=path, target="c", call=texts)
    taken: dict[str, list[Start]] = {name: [] for name in scripts}
    for number in range(ROUNDS + 1):
        for name, script in scripts.items():
            found = start(script + PEAK)
            if number:
                taken[name].append(found)
    medians = {
        name: [statistics.median(values) for values in zip(*found, strict=True)]
        for name, found in taken.items()
    }
    nothing = medians["bare Python"]
    print(
        "\nto the first prediction    wall_ms  processor_ms  peak_mb  (over bare Python, medians)"
    )
    for name, found in medians.items():
        over = [a - b for a, b in zip(found, nothing, strict=True)]
        wall, processor, peak = found if name == "bare Python" else over
        print(f"{name:26} {wall:7.1f}  {processor:12.1f}  {peak:7.1f}")


class Start(NamedTuple):
    """A process from its start to its end."""

    wall_ms: float
    processor_ms: float
    peak_mb: float


def start(script: str) -> Start:
    """Run a script; its peak memory is the last number that it writes to stderr, if any."""
    before, begun = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    wall_ms, after = 1000 * (time.perf_counter() - begun), getrusage(RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(done.stderr)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    last = done.stderr.split()[-1:]
    peak_kb = int(last[0]) if last and last[0].isdigit() else 0
    return Start(wall_ms, 1000 * spent, peak_kb / 1024)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} BUNDLE")
    main(sys.argv[1])
