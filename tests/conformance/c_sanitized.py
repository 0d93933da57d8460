"""Runs the cases of a library in a process of its own, where AddressSanitizer comes first.

    LD_PRELOAD=libasan.so python c_sanitized.py LIBRARY JOB FOUND

Not a test: the outputs are compared where the job was made, see test_conformance_c.py.
"""

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import Library


def run_job(library: ctypes.CDLL, job: dict[str, Any]) -> dict[str, Any]:
    """Run whole rows, and then the first of them a timestep at a time."""
    with np.load(job["inputs"]) as file:
        inputs = {name: file[name] for name in file.files}
    backend = CBackend(
        Library.in_dll(library, f"{job['name']}_library"), Path(job["weights"]), engine="c"
    )
    found = {}
    for index, (start, stop) in enumerate(job["batches"]):
        outputs = backend.run({name: array[start:stop] for name, array in inputs.items()})
        found.update({f"{job['key']} whole {index} {name}": one for name, one in outputs.items()})
    if job["states"]:
        found.update(
            {f"{job['key']} steps {name}": one for name, one in steps(library, job, inputs).items()}
        )
    return found


def steps(library: ctypes.CDLL, job: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Step through seven rows."""
    backend = CBackend(
        Library.in_dll(library, f"{job['name']}_step_library"), Path(job["weights"]), engine="c"
    )
    rows = {name: array[:7] for name, array in inputs.items()}
    carried = {one: np.zeros((7, *shape), dtype) for one, _, shape, dtype in job["states"]}
    timed = [name for name, array in rows.items() if array.ndim > 2 or array.dtype == np.int32]
    parts = []
    for t in range(rows[timed[0]].shape[1]):
        piece = {n: array[:, t : t + 1] if n in timed else array for n, array in rows.items()}
        parts.append(backend.run({**piece, **carried}))
        carried = {one: parts[-1][output] for one, output, *_ in job["states"]}
    last = dict(parts[-1])
    for name in job["sequences"]:
        last[name] = np.concatenate([part[name] for part in parts], axis=1)
    return last


def main() -> None:
    """Run all jobs of a file."""
    library = ctypes.CDLL(sys.argv[1])
    found = {}
    for job in json.loads(Path(sys.argv[2]).read_text()):
        print(job["key"], file=sys.stderr, flush=True)
        found.update(run_job(library, job))
    np.savez(sys.argv[3], **found)


if __name__ == "__main__":
    main()
