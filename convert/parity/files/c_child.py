"""A process that runs c libraries: a damaged one ends it, and not the one that judges.

A script, not to be imported: it loads what predicts, and nothing of what converts. Reads a JSON
list of jobs, and answers each with a line: null, or what went wrong.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.runtime.backends.c.backend import open_artifact
from gatelet.runtime.backends.host import host_platform

TEXTS = " texts"  # no output has such a name


def run(job: dict[str, Any]) -> None:
    """Run rows through a library, and save the outputs."""
    os.environ["GATELET_LEVEL"] = job["level"]
    companions = {f"library:{host_platform()}": Path(job["library"])}
    if job["vocabulary"]:
        companions["vocabulary"] = Path(job["vocabulary"])
    backend = open_artifact(
        Path(job["weights"]), module="ctypes", threads=1, companions=companions, steps=job["steps"]
    )
    with np.load(job["rows"]) as given:
        arrays = {name: given[name] for name in given.files}
    texts = arrays.pop(TEXTS, np.array([], str)).tolist()
    outputs = backend.run(arrays)
    if texts and backend.reads_texts:
        found = [backend.try_rows([text], 1) for text in texts]  # alone, as a program gives them
        if all(one is not None for one in found):
            outputs[TEXTS] = np.array(found, np.float32)
    np.savez(job["made"], **outputs)


def read_array(job: dict[str, Any]) -> None:
    """Save the bytes of an array that a library holds."""
    symbol = (ctypes.c_ubyte * job["count"]).in_dll(ctypes.CDLL(job["library"]), job["name"])
    Path(job["made"]).write_bytes(bytes(symbol))


def main() -> None:
    """Do each job."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library may print
    for job in json.load(sys.stdin):
        said = None
        try:
            (read_array if "count" in job else run)(job)
        except Exception as error:  # whatever it is, the parent names it
            said = " ".join(str(error).split())[:300] or type(error).__name__
        answers.write(json.dumps(said) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
