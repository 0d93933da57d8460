"""The form for MicroPython: a module that computes full-int8 in integers, and its weights.

Not the arithmetic of C, which it follows: see convert/exporters/c/kernels/integer.c. A module holds
the functions that its model needs, and no others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.c.integer_recurrences import input_bits
from gatelet.convert.exporters.c.integer_values import (
    EXP_ENTRIES,
    HEADROOM,
    TAIL_ENTRIES,
    UNIT,
    Z_UNIT,
    fixed_point,
)
from gatelet.convert.exporters.c.recurrent import gru_columns
from gatelet.convert.packages.filling import fill
from gatelet.convert.packages.package import Package
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Node

_MOST_INPUTS = 512
"""Of a product: their sum holds 32 bits, which is what viper adds in."""
_KINDS = {"int8": "b", "uint16": "H", "int32": "i", "float32": "f"}
_RECURRENT = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "simple_rnn"}
_HARD = {"hard_sigmoid": 715827883, "hard_sigmoid_keras2": 858993459}
Array = NDArray[Any]


def write_micropython(package: Package) -> dict[str, str | bytes]:
    """Return the module, its weights, its self-test, and what `mip` reads.

    Raises:
        ConversionError: The model is no chain of layers that the module knows, or in floats.
    """
    if package.artifact.scheme != "full-int8":
        raise ConversionError(
            f"a module of MicroPython computes in integers, and c {package.artifact.scheme} does "
            "not: choose --scheme full-int8, for which the bundle is converted with that scheme"
        )
    chain = _Chain(package)
    chain.write()
    name = package.name
    golden = package.golden
    return {
        f"{name}.py": chain.module(),
        f"{name}.bin": chain.data(),
        "selftest.py": fill(
            "micropython/selftest.txt",
            {
                **package.values,
                "rows": [_steps(package, row) for row in golden.inputs],
                "expected": [list(map(float, row[0])) for row in golden.outputs],
            },
        ),
        "package.json": (
            f'{{"version": "{package.version}", '
            f'"urls": [["{name}.py", "{name}.py"], ["{name}.bin", "{name}.bin"]]}}\n'
        ),
    }


def _steps(package: Package, row: tuple[list[float], ...]) -> list[Any]:
    """Return a row as steps: ids, or lists of features."""
    (one,), (flat,) = package.graph.inputs, row
    if one.dtype == "int32":
        return [int(x) for x in flat]
    width = one.shape[-1] or 1
    return [list(map(float, flat[at : at + width])) for at in range(0, len(flat), width)]


@dataclass
class _Chain:
    """A model as a list of functions with their constants, which are stored one by one."""

    package: Package
    stored: list[bytes] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    masks: set[str] = field(default_factory=set)
    scale: Any = 0.0
    last_units: int = 0
    is_masked: bool = False
    is_ended: bool = False
    beside: bytes = b""

    def write(self) -> None:
        """Walk the graph."""
        graph = self.package.bundle.graph()
        self.weights = {name: array_of(tensor) for name, tensor in graph.weights.items()}
        self.observed: Mapping[str, Any] = self.package.artifact.entry["observed"]
        if len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise self._refused(graph.nodes[-1], "of several inputs or outputs")
        (one,) = graph.inputs
        self.at = one.name
        if one.dtype == "float32":
            if len(one.shape) != 3:
                raise self._refused(graph.nodes[0], "of features without timesteps")
            largest = np.asarray(self.observed[one.name], np.float64)
            self.scale = np.where(largest > 0, largest, 1.0) * HEADROOM * HEADROOM / 32767
            self._add("features", self._part(1.0 / self.scale, "float32"))
        for node in graph.nodes:
            self._node(node)
        if self.at != graph.outputs[0] or not self.is_ended:
            raise self._refused(graph.nodes[-1], "that gives no single result a row")

    def module(self) -> str:
        """Return the text of the module."""
        values = {**self.package.values, "step_of": "a timestep's features"}
        if self.package.graph.inputs[0].dtype == "int32":
            values["step_of"] = "an id"
        parts = [fill("micropython/head.txt", values).rstrip("\n")]
        for name in dict.fromkeys(self.used):
            if name in _HARD:
                told = {"name": name, "part": _HARD[name]}
                parts.append(fill("micropython/hard_sigmoid.txt", told).rstrip("\n"))
            else:
                parts.append(fill(f"micropython/{name}.txt", values).rstrip("\n"))
        recurrent = [_RECURRENT[name] for name in dict.fromkeys(self.used) if name in _RECURRENT]
        loaded = sum(map(len, self.stored))
        self.tables += [f"BESIDE = {loaded}"] if self.beside else []
        last = {
            **values,
            "loaded": loaded,
            "tables": "".join(f"{line}\n" for line in self.tables) + "\n",
            "steps": "".join(f"({one}), " for one in self.steps).rstrip(),
            "head": "".join(f"({one}), " for one in self.head).rstrip(),
            "recurrent": f"{', '.join(recurrent)},",
            "masked": "        if x == 0:\n            return\n" if self.is_masked else "",
            "width": self.last_units,
            "scale": repr(float(np.float32(self.scale))),
        }
        parts.append(fill("micropython/model.txt", last))
        return "\n".join(parts)

    def data(self) -> bytes:
        """Return the constants, and behind them the table of an embedding."""
        return b"".join(self.stored) + self.beside

    def _node(self, node: Node) -> None:
        if node.op == "MaskIds":
            self.masks.add(node.output)
            return
        if node.inputs[0] != self.at or node.op not in _WRITERS:
            raise self._refused(node, "which it has no function for")
        if node.mask is not None:
            if node.mask not in self.masks or node.op not in _RECURRENT:
                raise self._refused(node, "with a mask of its own")
            self.is_masked = True
        _WRITERS[node.op](self, node)
        self.at = node.output

    def _add(self, function: str, constants: str, *, file: str = "") -> None:
        self.used.append(file or function)
        (self.head if self.is_ended else self.steps).append(f"{function}, {constants}")

    def _part(self, values: Array, dtype: str) -> str:
        """Store numbers, and return the expression that reads them."""
        data = np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<")).tobytes()
        at = sum(map(len, self.stored))
        self.stored.append(data)
        if dtype == "int8":
            return f"DATA[{at} : {at + len(data)}]"
        return f'part("{_KINDS[dtype]}", {at}, {len(data)})'

    def _table(self, name: str, values: Array, dtype: str) -> None:
        if not any(line.startswith(f"{name} =") for line in self.tables):
            self.tables.append(f"{name} = {self._part(values, dtype)}")

    def _matrix(self, kernel: Array, x_scale: Any, scale: float, bias: Array | None) -> str:
        """Store a kernel as the C exporter rounds it: see `stored_matrix` there."""
        rows, columns = kernel.shape
        if rows > _MOST_INPUTS:
            raise ConversionError(
                f"a module of MicroPython adds up to {_MOST_INPUTS} products, and a kernel has "
                f"{rows:,} rows: use --to c"
            )
        scaled = kernel.astype(np.float64) * np.broadcast_to(x_scale, (rows,))[:, None]
        fixed = fixed_point(np.abs(scaled).max(axis=0, initial=0.0) / 127 / scale, np.ceil)
        multipliers = np.maximum(fixed.multipliers, 1)
        integers = np.clip(np.rint(scaled / (multipliers * 2.0**-fixed.shift * scale)), -127, 127)
        values, by_column = self._part(integers.T, "int8"), self._part(multipliers, "int32")
        added = "None"
        if bias is not None:
            exact = np.clip(np.rint(bias.astype(np.float64) / scale), -(2**30), 2**30)
            added = self._part(exact, "int32")
        return f"({values}, {by_column}, {added}, {rows}, {columns}, {fixed.shift})"

    def _activation(self, node: Node, setting: str) -> str:
        name = str(node.attributes.get(setting, "sigmoid"))
        if name in ("sigmoid", "tanh"):
            self.used.insert(0, "tail")
            entries = 2.0**31 / (1.0 + np.exp(np.arange(TAIL_ENTRIES) / 32.0))
            self._table("TAIL", np.rint(entries), "int32")
        else:
            self.used.insert(0, name)
        return name

    def _of(self, node: Node, role: str) -> Array | None:
        return self.weights[node.weights[role]] if role in node.weights else None

    def _refused(self, node: Node, why: str) -> ConversionError:
        return ConversionError(
            f"layer '{node.source or node.name}': a module of MicroPython is a chain of Embedding, "
            f"LSTM, GRU, SimpleRNN, Dense and activations, and this is {node.op}, {why}: use --to c"
        )

    def embedding(self, node: Node) -> None:
        """Store the table as the C exporter does: see `write_embedding` there."""
        table = self.weights[node.weights["embeddings"]]
        unit = (float(self.observed[node.output][0]) or 1.0) / 127 * 256 / 65535
        largest = np.abs(table).max(axis=1, keepdims=True).astype(np.float64)
        multipliers = np.clip(np.ceil(largest / 127 * 256 / unit), 1, 65535)
        integers = np.clip(np.rint(table / (multipliers * unit / 256)), -127, 127)
        self.beside, self.scale = integers.astype(np.int8).tobytes(), unit
        by_row = self._part(multipliers[:, 0], "uint16")
        self._add("embedding", f"(BESIDE, {by_row}, {table.shape[1]})")

    def recurrence(self, node: Node) -> None:
        """Store the weights of a recurrence as the C exporter does."""
        weights = {role: self.weights[name] for role, name in node.weights.items()}
        settings = node.attributes
        odd = ("go_backwards", "return_state", "output_initial_state", "zero_output_for_mask")
        if len(node.inputs) > 1 or any(settings.get(name) for name in odd) or self.is_ended:
            raise self._refused(node, "with more than one sequence, or backwards")
        bits = input_bits(weights, self.scale)
        unit, bias, recurrent = 2.0**-bits, weights.get("bias"), weights["recurrent_kernel"]
        units, inner, other = len(recurrent), None, "None"
        if node.op == "GRU" and not settings.get("reset_after", True):
            columns = gru_columns(units)
            first, last = (recurrent[:, slice(*one)] for one in columns)
            recurrent, other = first, self._matrix(last, UNIT, unit, None)
        elif node.op == "GRU" and bias is not None:
            bias, inner = bias
        kernel = self._matrix(weights["kernel"], self.scale, unit, bias)
        again = self._matrix(recurrent, UNIT, unit, inner)
        act = self._activation(node, "activation")
        gate = "None"
        if node.op != "SimpleRNN":
            gate = self._activation(node, "recurrent_activation")
        constants = f"({kernel}, {again}, {other}, {units}, {bits}, {act}, {gate})"
        self._add(_RECURRENT[node.op], constants, file=node.op)
        self.scale, self.last_units = UNIT, units
        self.is_ended = not settings["return_sequences"]

    def dense(self, node: Node) -> None:
        """Store a Dense layer as the C exporter does: see `write_dense` there."""
        scale = (float(self.observed[node.output][0]) or 1.0) * HEADROOM / 32767
        kernel = self.weights[node.weights["kernel"]]
        matrix = self._matrix(kernel, self.scale, scale, self._of(node, "bias"))
        self._add("dense", matrix, file="Dense")
        self.scale = scale

    def activation(self, node: Node) -> None:
        """Store an activation that stands alone."""
        name = node.attributes["activation"]
        if name == "linear":
            return
        if name == "relu":
            self._add("relu", "None")
            return
        fixed = fixed_point(np.array([self.scale / Z_UNIT]))
        factor = f"{int(fixed.multipliers[0])}, {fixed.shift}"
        if name == "softmax":
            entries = np.exp(-np.arange(EXP_ENTRIES) / 64.0)
            self._table("EXP", np.rint(entries * 2**15), "uint16")
            self._add("softmax", f"({factor})")
        else:
            self._add("activate", f"({factor}, {self._activation(node, 'activation')})")
        self.scale = UNIT


_WRITERS: dict[str, Callable[[_Chain, Node], None]] = {
    "Embedding": _Chain.embedding,
    **dict.fromkeys(_RECURRENT, _Chain.recurrence),
    "Dense": _Chain.dense,
    "Activation": _Chain.activation,
}
