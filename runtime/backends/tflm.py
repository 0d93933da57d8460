"""Runs tflm artifacts on this machine, with the tflite-micro package: one timestep a call.

Not the device's loop, which is the same in C++: see docs/tflm.md.
"""

import importlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.errors import BackendError
from gatelet.runtime.backends.backend import AnyFile, first_line
from gatelet.runtime.backends.forks import abandon, renew_after_fork
from gatelet.runtime.backends.tflm_tables import tables_of

CONTRACT = "gatelet"
"""The name of the file's metadata that say how its steps are fed; see docs/tflm.md."""
STATES_CONTRACT = "gatelet-states"
"""The same of a file whose states are inputs and outputs, which older readers would not feed."""
TABLE_ROLE = "embedding"
"""How the roles of companions begin that are embedding tables."""
_ARENA_BYTES = 1 << 20
"""Room for any arena and to spare: what is not used costs nothing here."""

Array = NDArray[Any]
Observe = Callable[[Any], None]


def open_artifact(
    path: AnyFile, *, module: str, threads: int, companions: Mapping[str, AnyFile]
) -> "TflmBackend":
    """Open a flatbuffer.

    Args:
        path: The artifact.
        module: 'tflite_micro'.
        threads: It has one.
        companions: Embedding tables; the others are for devices.
    """
    version = importlib.import_module(module).__version__
    tables = {
        role: beside.read_bytes()
        for role, beside in companions.items()
        if role.startswith(TABLE_ROLE)
    }
    return TflmBackend(path.read_bytes(), engine=f"tflite-micro {version}", tables=tables)


def read_contract(data: bytes) -> dict[str, Any]:
    """Return what a file says of its inputs, its outputs and the timesteps that are not run.

    Raises:
        BackendError: It says nothing.
    """
    from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

    model = schema.Model.GetRootAs(data, 0)
    for index in range(model.MetadataLength()):
        one = model.Metadata(index)
        if one.Name() in (CONTRACT.encode(), STATES_CONTRACT.encode()):
            found: dict[str, Any] = json.loads(model.Buffers(one.Buffer()).DataAsNumpy().tobytes())
            return found
    raise BackendError(
        "the file does not say how its steps are fed: it is no tflm artifact of ours"
    )


class TflmBackend:
    """An interpreter that is reset before each row.

    Args:
        data: The flatbuffer.
        engine: Its package and version.
        tables: The embedding tables beside it, by their role.
        observe: Called with the interpreter after each step; then no tensor's memory is reused.
    """

    target = "tflm"

    def __init__(
        self,
        data: bytes,
        *,
        engine: str,
        tables: Mapping[str, bytes] = MappingProxyType({}),
        observe: Observe | None = None,
    ) -> None:
        from tflite_micro import runtime

        self.engine = engine
        self._contract = read_contract(data)
        self._tables = tables_of(self._contract, tables)
        config = runtime.InterpreterConfig
        kept = config.kAllocationRecording if observe is None else config.kPreserveAllTensors
        self._opens: Callable[[], Any] = partial(
            runtime.Interpreter.from_bytes,
            data,
            arena_size=max(_ARENA_BYTES, len(data)),
            intrepreter_config=kept,
        )
        self._interpreter: Any = self._opens()
        self._observe = observe
        self._lock = threading.Lock()
        renew_after_fork(self)

    def renew(self) -> None:
        """See `Renewable`: a call may have been in the middle of the interpreter."""
        self._lock = threading.Lock()
        abandon(self._interpreter)
        self._interpreter = None

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """Run rows; see `Backend.run`."""
        feeds = [
            (np.asarray(inputs[one["name"]], one["dtype"]), one["order"])
            for one in self._contract["inputs"]
        ]
        rows = len(feeds[0][0])
        counts = self._counted(inputs)
        timesteps = next((len(feed[0]) for feed, order in feeds if order != "once" and rows), 1)
        found: dict[str, list[Array]] = {one["name"]: [] for one in self._contract["outputs"]}
        with self._lock:
            if self._interpreter is None:
                self._interpreter = self._opens()
            for row in range(rows):
                kept = range(timesteps) if counts is None else np.flatnonzero(counts[row]).tolist()
                try:
                    steps = self._run_row(self._fed(feeds, row), kept)
                except (RuntimeError, ValueError, IndexError) as error:
                    raise BackendError(
                        f"the engine {self.engine} failed: {first_line(error)}", target=self.target
                    ) from error
                for index, one in enumerate(self._contract["outputs"]):
                    values = [step[index] for step in steps]
                    found[one["name"]].append(self._assembled(one, values, kept, timesteps))
        return {
            one["name"]: np.stack(found[one["name"]]) if rows else self._nothing(one)
            for one in self._contract["outputs"]
        }

    def follow(self, inputs: Mapping[str, Any]) -> Iterator[list[Array]]:
        """Run a row, and give its outputs after each step that is run, in the file's order.

        The interpreter is its own, so that several rows can be followed side by side.

        Args:
            inputs: Of one row, as `run` takes them.
        """
        feeds = [
            (np.asarray(inputs[one["name"]], one["dtype"]), one["order"])
            for one in self._contract["inputs"]
        ]
        counts = self._counted(inputs)
        timesteps = next(feed.shape[1] for feed, order in feeds if order != "once")
        kept = range(timesteps) if counts is None else np.flatnonzero(counts[0]).tolist()
        interpreter = self._opens()
        for _ in self._steps(interpreter, self._fed(feeds, 0), kept):
            yield self._outputs(interpreter)

    def _fed(self, feeds: list[tuple[Array, str]], row: int) -> list[tuple[Array, str]]:
        """Return a row's inputs, with the rows of tables in the place of ids."""
        return [
            (feed[row] if table is None else table.look_up(feed[row]), order)
            for (feed, order), table in zip(feeds, self._tables, strict=True)
        ]

    def _counted(self, inputs: Mapping[str, Any]) -> Array | None:
        """Return which timesteps count, bool [B, T]; None where all do."""
        skip = self._contract["skip"]
        if skip is None:
            return None
        given = np.asarray(inputs[skip["input"]])
        differs = given != np.asarray(skip["value"], given.dtype)
        return differs if differs.ndim == 2 else np.asarray(differs.any(axis=2))

    def _run_row(self, feeds: list[tuple[Array, str]], kept: Any) -> list[list[Array]]:
        """Run a row's steps and give the outputs of each: of the last only where that is enough."""
        interpreter = self._interpreter
        interpreter.reset()
        each = any(one["order"] != "once" for one in self._contract["outputs"])
        last = len(kept) - 1
        return [
            self._outputs(interpreter)
            for place in self._steps(interpreter, feeds, kept)
            if each or place == last
        ]

    def _steps(self, interpreter: Any, feeds: list[tuple[Array, str]], kept: Any) -> Iterator[int]:
        """Run the steps that are kept, and give the place of each among them."""
        shaped = [(_as_steps(values, order), order) for values, order in feeds]
        last = len(kept) - 1
        carried = self._contract.get("states", ())
        states = [np.zeros(one["shape"], one["dtype"]) for one in carried]
        for place, t in enumerate(kept):
            # the arena reuses the inputs' memory, so every call sets them anew
            for index, (values, order) in enumerate(shaped):
                at = {"forward": t, "backward": kept[last - place], "once": 0}[order]
                interpreter.set_input(values[at], index)
            for one, state in zip(carried, states, strict=True):
                interpreter.set_input(state, one["input"])
            interpreter.invoke()
            states = [np.array(interpreter.get_output(one["output"])) for one in carried]
            if self._observe is not None:
                self._observe(interpreter)
            yield place

    def _outputs(self, interpreter: Any) -> list[Array]:
        wanted = self._contract["outputs"]
        return [_as_numbers(interpreter.get_output(i), one) for i, one in enumerate(wanted)]

    def _assembled(self, one: Any, values: list[Array], kept: Any, timesteps: int) -> Array:
        """Return an output of a row: after the last step, or with a timestep each.

        At a timestep that is not run the output is that of the step before.
        """
        shape = tuple(one["shape"])
        empty = np.asarray(self._contract["empty"].get(one["name"], 0.0), np.float32)
        if one["order"] == "once":
            return (values[-1] if values else empty).reshape(shape)
        sequence = np.empty((timesteps, *shape), np.float32)
        order = range(timesteps) if one["order"] == "forward" else reversed(range(timesteps))
        made = dict(zip(kept if one["order"] == "forward" else kept[::-1], values, strict=True))
        previous = empty.reshape(shape) if len(made) < timesteps else None
        for t in order:
            previous = made[t].reshape(shape) if t in made else previous
            sequence[t] = previous
        return sequence

    def _nothing(self, one: Any) -> Array:
        shape = tuple(one["shape"])
        return np.zeros((0, *shape) if one["order"] == "once" else (0, 1, *shape), np.float32)


def _as_numbers(values: Array, one: Mapping[str, Any]) -> Array:
    """Return an output in float32, which the file may give as integers with a scale."""
    return values if one["scale"] is None else values.astype(np.float32) * np.float32(one["scale"])


def _as_steps(values: Array, order: str) -> Array:
    """Return a row's input a step each, as the file takes it: [T, 1, 1] or [T, 1, 1, F]."""
    if order == "once":
        return np.ascontiguousarray(values[None, None])
    return np.ascontiguousarray(values).reshape(len(values), 1, 1, *values.shape[1:])
