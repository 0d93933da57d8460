"""What all recurrent layers share: the settings of their steps, the node, the order of a sequence.

Not any one cell: those are in `lstm`, `gru`, `simple_rnn` and `conv_lstm`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from gatelet.convert.lowering.activation_names import read_activation
from gatelet.convert.lowering.builder import GraphBuilder, Value
from gatelet.convert.lowering.settings import read_bool, refuse
from gatelet.convert.reading.source import SourceLayer
from gatelet.errors import ModelError
from gatelet.runtime.graph.graph import Shape
from gatelet.runtime.graph.operations import OPERATIONS


@dataclass(frozen=True)
class Cell:
    """One step of a recurrence, as a node needs it.

    Args:
        op: The operation of the Graph.
        state: The shape of one timestep's output and of each state, without B.
        weights: By role.
        attributes: Those of the cell alone.
    """

    op: str
    state: Shape
    weights: Mapping[str, NDArray[Any]]
    attributes: Mapping[str, Any]

    @property
    def states(self) -> int:
        """How many states it has."""
        return len(OPERATIONS[self.op].states)


@dataclass(frozen=True)
class Steps:
    """How a recurrent layer walks over time.

    Args:
        return_sequences: Whether y is [B, T, ...].
        return_state: Whether the last states are outputs too.
        go_backwards: Whether the last timestep is taken first.
        zero_output_for_mask: Whether y is zero at a masked timestep.
        mask: The mask that the steps obey; None without one.
        output_initial_state: Whether y, before the first timestep that counts, is the initial
            state instead of zero.
    """

    return_sequences: bool
    return_state: bool
    go_backwards: bool
    zero_output_for_mask: bool
    mask: str | None
    output_initial_state: bool = False


@dataclass(frozen=True)
class Recurred:
    """What a recurrence gave.

    Args:
        y: Its output; a sequence is aligned with x, whatever the direction.
        states: The last ones; () without `return_state`.
        steps: How it was walked.
    """

    y: Value
    states: tuple[Value, ...]
    steps: Steps


def read_steps(layer: SourceLayer, inputs: Sequence[Value], builder: GraphBuilder) -> Steps:
    """Read how a layer walks over time.

    `unroll`, `implementation`, `dropout` and `recurrent_dropout` do not change what is predicted;
    `stateful` does not change what the first call predicts.

    Args:
        layer: The recurrent layer.
        inputs: x, then initial states if any.
        builder: Knows the version.

    Raises:
        UnsupportedLayer: Time is the first axis.
    """
    if read_bool(layer, "time_major", default=False):
        raise refuse(
            layer, "time_major=True", "build the layer with time_major=False: its weights fit"
        )
    mask, has_states = inputs[0].mask, len(inputs) > 1
    # Keras 3 passes a mask on by itself only to calls with a single tensor
    if has_states and builder.keras_major >= 3 and not builder.mask_is_given:
        mask = None
    return Steps(
        return_sequences=read_bool(layer, "return_sequences", default=False),
        return_state=read_bool(layer, "return_state", default=False),
        go_backwards=read_bool(layer, "go_backwards", default=False),
        zero_output_for_mask=mask is not None
        and read_bool(layer, "zero_output_for_mask", default=False),
        mask=mask,
        output_initial_state=has_states and mask is not None and builder.is_multi_backend,
    )


def activation_attributes(
    layer: SourceLayer, builder: GraphBuilder, **defaults: str
) -> dict[str, Any]:
    """Read the activations of a cell as attributes of its node.

    Args:
        layer: The cell.
        builder: Knows the version.
        **defaults: For each setting, what it is where the file does not tell.
    """
    attributes: dict[str, Any] = {}
    for setting, default in defaults.items():
        activation = read_activation(layer, setting, builder=builder, default=default)
        attributes[setting] = activation.name
        if activation.parameters:
            attributes[f"{setting}_parameters"] = dict(activation.parameters)
    return attributes


def add_recurrence(
    layer: SourceLayer, cell: Cell, steps: Steps, inputs: Sequence[Value], builder: GraphBuilder
) -> Recurred:
    """Append the node of a recurrence.

    Args:
        layer: Where it comes from.
        cell: Its step.
        steps: Its walk.
        inputs: x, then initial states if any.
        builder: Where the node goes.

    Raises:
        ModelError: The number or shape of the initial states is wrong.
    """
    x, *given = inputs
    B, T = x.shape[:2]
    state = (B, *cell.state)
    if given and [one.shape[1:] for one in given] != [cell.state] * cell.states:
        raise ModelError(
            f"layer '{layer.name}' ({layer.class_name}) needs {cell.states} initial states of "
            f"{list(cell.state)}, the model gives {[list(one.shape[1:]) for one in given]}",
            layer=layer.name,
            class_name=layer.class_name,
        )
    attributes = {
        **cell.attributes,
        "return_sequences": steps.return_sequences,
        "return_state": steps.return_state,
        "go_backwards": steps.go_backwards,
        "zero_output_for_mask": steps.zero_output_for_mask,
    }
    if steps.output_initial_state:
        attributes["output_initial_state"] = True
    y_shape = (B, T, *cell.state) if steps.return_sequences else state
    y, *states = builder.add_many(
        cell.op,
        [replace(x, mask=steps.mask), *given],
        shapes=(y_shape, *[state] * (cell.states if steps.return_state else 0)),
        source=layer,
        weights=cell.weights,
        attributes=attributes,
    )
    return Recurred(y, tuple(states), steps)
