"""What parity costs over many rows: `python benchmarks/parity_scale.py BUNDLE DATA [ROWS]`.

Compares the processor time of a parity run with that of the artifacts' inferences on the same ids,
and with that of all inferences: the Graph's in float64 and Keras' own are inferences too. Gives the
memory that each row and artifact takes: how much more the process's peak grows between a fifth of
the rows and all of them than it does when the rows are only read. Not a test.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from gatelet.convert.parity.oracles.ask import ids_of
from gatelet.convert.parity.oracles.keras_jobs import predict
from gatelet.convert.parity.oracles.oracle import ask_graph
from gatelet.convert.proving import prove
from gatelet.convert.rows.rows import Rows
from gatelet.runtime.bundle.opening import Bundle, open_bundle
from gatelet.runtime.data.dataset import Dataset, read
from gatelet.runtime.predictor.loading import open_artifact

ROWS = 25_000


def main(bundle: Path, data: Path, rows: int) -> None:
    """Measure in processes of their own, and print."""
    few = rows // 5
    peaks = {
        (what, count): _measure(what, bundle, data, count)
        for what in ("read", "prove")
        for count in (few, rows)
    }
    inferences = _measure("infer", bundle, data, rows)["cpu_s"]
    asked = _measure("ask", bundle, data, rows)["cpu_s"]
    artifacts = len(open_bundle(bundle).artifacts)
    grown = {
        w: peaks[w, rows]["peak_bytes"] - peaks[w, few]["peak_bytes"] for w in ("read", "prove")
    }
    each = (grown["prove"] - grown["read"]) / (rows - few) / artifacts
    whole = peaks["prove", rows]
    with_keras = _measure("keras", bundle, data, rows)
    print(f"{rows:,} rows, {artifacts} artifacts")
    print(f"inferences alone            {inferences:8.1f} s of processor time")
    print(
        f"parity against the Graph    {whole['cpu_s']:8.1f} s, {whole['cpu_s'] / inferences:.2f} x"
    )
    print(
        f"parity against Keras too    {with_keras['cpu_s']:8.1f} s, "
        f"{with_keras['cpu_s'] / inferences:.2f} x"
    )
    print(
        f"inferences of Graph and Keras {asked:6.1f} s; parity is "
        f"{with_keras['cpu_s'] / (inferences + asked):.2f} x all inferences"
    )
    print(f"memory a row and artifact   {each:8.0f} bytes")
    print(f"verdict                     {whole['verdict']}")


def _measure(what: str, bundle: Path, data: Path, rows: int) -> dict[str, float]:
    arguments = [sys.executable, __file__, "--measure", what, str(bundle), str(data), str(rows)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(what: str, bundle: Bundle, data: Dataset) -> None:
    """Do what is measured, and print processor seconds, the peak in bytes and the verdict."""
    verdict = ""
    start = _cpu_s()
    if what in ("prove", "keras"):
        verdict = prove(bundle, data, with_keras=what == "keras").verdict
    elif what == "ask":
        ids = _ids(bundle, data)
        start = _cpu_s()
        _ask(bundle, ids)
    elif what == "infer":
        ids = _ids(bundle, data)
        predictors = [open_artifact(bundle, one) for one in bundle.artifacts]
        start = _cpu_s()
        for predictor in predictors:
            predictor.scores(ids)
    used = _cpu_s() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu_s": used, "peak_bytes": peak, "verdict": verdict}))


def _ids(bundle: Bundle, data: Dataset) -> NDArray[Any]:
    vectorizer = bundle.vectorizer()
    assert vectorizer is not None, "a bundle for texts"
    return ids_of(vectorizer, data.texts)


def _ask(bundle: Bundle, ids: NDArray[Any]) -> None:
    """Let the Graph and Keras predict, the start of Keras included."""
    graph, source = bundle.graph(), bundle.part("source")
    ask_graph(graph, Rows({graph.inputs[0].name: ids}))
    assert source is not None, "a bundle that keeps its model"
    import keras

    predict(keras.saving.load_model(source, compile=False), [ids])


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    if sys.argv[1] == "--measure":
        what, folder, file, count = sys.argv[2:]
        rows = read(file)
        labels = rows.labels[: int(count)] if rows.labels is not None else None
        _run(what, open_bundle(folder), Dataset(rows.texts[: int(count)], labels, rows.name))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else ROWS)
