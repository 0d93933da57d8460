"""How much memory a file needs at run time, measured with the library itself on this machine.

Not an estimate: on a 32-bit processor, where pointers are half as long, it is less.
"""

import contextlib
import faulthandler
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from gatelet.errors import ConversionError

_TOTAL = re.compile(rb"Arena allocation total (\d+) bytes")
_STEP_BYTES = 16


def arena_bytes(data: bytes, *, inputs: int) -> int:
    """Return the smallest arena, in steps of 16 bytes, in which a file opens and runs.

    Args:
        data: The file.
        inputs: How many it has.

    Raises:
        ConversionError: The library does not take the file.
    """
    with _standard_error() as log:
        try:
            interpreter = _run(data, inputs, max(1 << 20, len(data)))
        except RuntimeError as error:
            log.seek(0)
            said = b" ".join(log.read().split()).decode("utf-8", "replace")
            raise ConversionError(
                f"the tflite-micro package does not run the file: {error} {said[-200:]}"
            ) from error
        interpreter.print_allocations()
        log.seek(0)
        found = _TOTAL.search(log.read())
        if found is None:
            raise ConversionError("the tflite-micro package does not tell what it allocated")
        # opening takes more than is in use afterwards, so what it prints is too little
        too_small, enough = int(found[1]) // _STEP_BYTES - 1, int(found[1]) // _STEP_BYTES + 1
        while not _runs(data, inputs, enough * _STEP_BYTES):
            too_small, enough = enough, 2 * enough
        while enough - too_small > 1:
            middle = (too_small + enough) // 2
            if _runs(data, inputs, middle * _STEP_BYTES):
                enough = middle
            else:
                too_small = middle
    return enough * _STEP_BYTES


def _runs(data: bytes, inputs: int, arena: int) -> bool:
    """Try an arena in a process of its own: the library may crash in one that is too small."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads, which the child does not use
        child = os.fork()
    if child == 0:
        faulthandler.disable()
        try:
            _run(data, inputs, arena)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _run(data: bytes, inputs: int, arena: int) -> Any:
    """Open a file and run a step of zeros."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(data, arena_size=arena)
    for index in range(inputs):
        one = interpreter.get_input_details(index)
        interpreter.set_input(np.zeros(one["shape"], one["dtype"]), index)
    interpreter.invoke()
    return interpreter


@contextlib.contextmanager
def _standard_error() -> Iterator[IO[bytes]]:
    """Return a file that takes what the library prints, which has no other way to be read."""
    with tempfile.TemporaryFile() as log:
        saved = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            yield log
        finally:
            os.dup2(saved, 2)
            os.close(saved)
