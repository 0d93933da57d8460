"""What a LiteRT file holds while it runs: its loops' results are made further outputs.

Not the comparison, which is in `steps`. A loop's result is the state after the last timestep, and
the states after all of them where the recurrence gives a sequence; runs that end after fewer
timesteps tell the others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from gatelet.convert.parity.computes.roundings import Array
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import OPERATIONS, RECURRENCES
from gatelet.runtime.graph.states import State

XNNPACK, BUILTIN = "xnnpack", "builtin"
"""The kernels that may compute: the engine's delegate, which takes part unless it is told not to,
and the engine's own."""

_COUNTERS = 2
"""The first results of a loop: TensorFlow's count of its turns, and ours."""


@dataclass(frozen=True)
class LitertInside:
    """A LiteRT file that gives what its loops give.

    Args:
        interpreter: Of the changed file.
        inputs: Where each input is.
        outputs: Where each output is.
        loops: By recurrence, where its states are after the loop, and where its sequence is.
        graph: The Graph that the file was made from.
        again: Opens the same once more.
    """

    interpreter: Any
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    loops: Mapping[str, tuple[int, ...]]
    graph: Graph = field(repr=False)
    again: Callable[[], "LitertInside"] = field(repr=False)

    def run(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs of rows."""
        engine = self.interpreter
        for name, index in self.inputs.items():
            engine.resize_tensor_input(index, feed[name].shape)
        engine.allocate_tensors()
        for name, index in self.inputs.items():
            engine.set_tensor(index, feed[name])
        engine.invoke()
        return {name: engine.get_tensor(index).copy() for name, index in self.outputs.items()}

    def states(self, node: str, count: int) -> list[Array]:
        """Return the states of a recurrence after the last run."""
        return [self.interpreter.get_tensor(index).copy() for index in self.loops[node][:count]]


def open_inside(content: bytes, graph: Graph, *, engine: str) -> LitertInside | None:
    """Open a LiteRT file with further outputs.

    Args:
        content: The file.
        graph: What it was made from: the Graph that skips padding.
        engine: XNNPACK or BUILTIN.

    Returns:
        None where its loops cannot be told apart.

    Raises:
        ImportError: ai-edge-litert is not installed.
    """
    changed = _with_results(content, graph)
    if changed is None:
        return None
    return _opened(changed[0], graph, engine=engine, loops=changed[1])


def open_plain(content: bytes, graph: Graph, *, engine: str) -> LitertInside:
    """Open a LiteRT file as it is, in kernels that are named."""
    return _opened(content, graph, engine=engine, loops={})


def _opened(
    content: bytes, graph: Graph, *, engine: str, loops: Mapping[str, tuple[int, ...]]
) -> LitertInside:
    interpreter = open_interpreter(content, engine=engine)
    (key,) = interpreter.get_signature_list()
    signature = interpreter.get_signature_runner(key)
    inputs = {n: int(one["index"]) for n, one in signature.get_input_details().items()}
    outputs = {n: int(one["index"]) for n, one in signature.get_output_details().items()}
    again = partial(_opened, content, graph, engine=engine, loops=loops)
    return LitertInside(interpreter, inputs, outputs, loops, graph, again)


def open_interpreter(content: bytes, *, engine: str) -> Any:
    """Open a file with the kernels that are asked for."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kinds = {
        XNNPACK: OpResolverType.AUTO,
        BUILTIN: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    }
    return Interpreter(
        model_content=content, num_threads=1, experimental_op_resolver_type=kinds[engine]
    )


def prefixes(
    inside: LitertInside, states: Sequence[State], rows: Mapping[str, Array], timed: Sequence[str]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Run rows that end after each number of timesteps.

    Each is run by an interpreter of its own: XNNPACK's of one that was given another shape before
    is now and then wrong, which is no fault of the file.

    Args:
        inside: The file.
        states: That are carried from step to step.
        rows: By input.
        timed: The inputs that have timesteps.

    Returns:
        The outputs, and the states by their input's name, [T, B, ...].
    """
    outputs, kept = [], []
    for T in range(1, rows[timed[0]].shape[1] + 1):
        fresh = inside.again()
        made = fresh.run({n: one[:, :T] if n in timed else one for n, one in rows.items()})
        outputs.append({name: made[name] for name in inside.graph.outputs})
        held = {one.node: fresh.states(one.node, 2) for one in states}
        kept.append({one.input: held[one.node][int(one.input[-1])] for one in states})
    return (
        {name: np.stack([one[name] for one in outputs]) for name in outputs[0]},
        {name: np.stack([one[name] for one in kept]) for name in kept[0]},
    )


def holds_states(content: bytes, timesteps: int, units: int) -> bool:
    """Return whether a file has a table of states after each number of pads."""
    model = _read(content)
    shapes = {
        tuple(map(int, tensor.shape))
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.shape is not None and _is_constant(model, tensor)
    }
    return (timesteps + 1, units) in shapes


def _is_constant(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _read(content: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(content), 0))


def _with_results(content: bytes, graph: Graph) -> tuple[bytes, dict[str, tuple[int, ...]]] | None:
    """Add the results of each recurrence's last loop to the outputs, and tell where they are."""
    import flatbuffers
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    model = _read(content)
    main = model.subgraphs[0]
    codes = [max(one.builtinCode, one.deprecatedBuiltinCode) for one in model.operatorCodes]
    chains: list[list[Any]] = []
    for operator in main.operators:
        if codes[operator.opcodeIndex] != BuiltinOperator.WHILE:
            continue
        before = chains[-1][-1] if chains else None
        # a loop of several steps a turn, and then one of those that are left
        if before is not None and set(operator.inputs) & set(before.outputs[_COUNTERS:]):
            chains[-1].append(operator)
        else:
            chains.append([operator])
    nodes = [node for node in graph.nodes if node.op in RECURRENCES]
    if len(nodes) != len(chains):
        return None
    found = {}
    for node, chain in _matched(model, chains, graph, nodes):
        count = len(OPERATIONS[node.op].states) + bool(node.attributes["return_sequences"])
        places = [int(i) for i in chain[-1].outputs[_COUNTERS : _COUNTERS + count]]
        found[node.name] = tuple(places)
        main.outputs = [*main.outputs, *(i for i in places if i not in main.outputs)]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), found


def _matched(
    model: Any, chains: Sequence[Sequence[Any]], graph: Graph, nodes: Sequence[Node]
) -> Iterator[tuple[Node, Sequence[Any]]]:
    """Return the loops of each node, those first that are surest; the others in order."""
    pairs = [
        (_apart(model, chain, graph, node), i, k)
        for i, node in enumerate(nodes)
        for k, chain in enumerate(chains)
    ]
    left, free = set(range(len(nodes))), set(range(len(chains)))
    for _, i, k in sorted(pairs):
        if i in left and k in free:
            left.remove(i)
            free.remove(k)
            yield nodes[i], chains[k]


def _apart(model: Any, chain: Sequence[Any], graph: Graph, node: Node) -> float:
    """Return how far a loop's constants are from a node's recurrent kernel; infinity for none."""
    from ai_edge_litert.schema_py_generated import TensorType

    kernel = array_of(graph.weights[node.weights["recurrent_kernel"]])
    if node.op == "GRU" and not node.attributes["reset_after"]:  # two matrices, this the larger
        kernel = kernel[:, : kernel.shape[1] // 3 * 2]
    types = {TensorType.FLOAT32: "<f4", TensorType.FLOAT16: "<f2", TensorType.INT8: "i1"}
    body = model.subgraphs[chain[-1].builtinOptions.bodySubgraphIndex]
    apart = np.inf
    for tensor in body.tensors:
        if not _is_constant(model, tensor) or tensor.type not in types or kernel.ndim != 2:
            continue
        array = np.frombuffer(bytes(model.buffers[tensor.buffer].data), types[tensor.type])
        if array.size == kernel.size:
            # integers without their scales tell the kernels apart as well
            ours, theirs = kernel.T.ravel(), array.astype(np.float64)
            norms = float(np.linalg.norm(ours) * np.linalg.norm(theirs)) or 1.0
            apart = min(apart, 1.0 - float(ours @ theirs) / norms)
    return apart
