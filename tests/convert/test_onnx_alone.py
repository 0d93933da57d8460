"""A conversion to onnx needs no TensorFlow: it loads none and starts no process that could."""

import subprocess
import sys
from pathlib import Path

CONVERT = """
import sys
from gatelet.cli import main

started = []

def watch(event, arguments):
    if event == "subprocess.Popen" and "gatelet.convert.worker.child" in arguments[1]:
        started.append(arguments)

sys.addaudithook(watch)
code = main(sys.argv[1:])
loaded = {name.split(".")[0] for name in sys.modules}
print(code, len(started), *sorted(loaded & {"tensorflow", "keras", "tf_keras", "tf2onnx"}))
"""


def test_converting_to_onnx_loads_no_tensorflow(small_run: Path, tmp_path: Path) -> None:
    words = ["convert", str(small_run), "--target", "onnx", "--no-keras", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", CONVERT, *words, "--out", str(tmp_path / "demo")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "0 0", done.stdout + done.stderr
