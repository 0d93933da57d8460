"""A Keras model as read: configuration, wiring and weights, and nothing of Keras itself.

Not a Graph: layers here still mean what their Keras version made of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from gatelet.runtime.graph.graph import Shape


@dataclass(frozen=True)
class SourceLayer:
    """One layer.

    Args:
        name: The user's name for it; any characters.
        class_name: Keras' class, such as 'LSTM'.
        config: Its configuration, in the words of the Keras that wrote it; Keras 1's are put in
            Keras 2's. A TextVectorization has the token of every id in 'vocabulary', '' and
            '[UNK]' included, whether its settings or its assets hold them.
        weights: Its own weights, float32, in Keras' order; those of its parts are in the parts.
        parts: The layers or models inside it: 'layer' of TimeDistributed, 'forward' and
            'backward' of Bidirectional, 'model' of a nested model, 'cell' of a generic RNN,
            'cell_0', 'cell_1' ... of StackedRNNCells. A part that is a model is a layer whose
            part 'model' is that model.
        stored_class: The class by which the file names its weights, where that is another: the
            custom one that this layer stands for.
    """

    name: str
    class_name: str
    config: Mapping[str, Any]
    weights: tuple[NDArray[Any], ...] = ()
    parts: Mapping[str, "SourceLayer | SourceModel"] = field(default_factory=dict)
    stored_class: str = ""


@dataclass(frozen=True)
class SourceCall:
    """One use of a layer: a layer that is shared is called more than once.

    Args:
        layer: The layer's name.
        inputs: Names of values: the layer's input or inputs, then initial states, if any.
        outputs: Names of the values it makes: its output, then states with `return_state`.
        states: How many of the inputs, at the end, are initial states.
        masked: Whether a mask reaches this call, where the file says so itself (functional
            models of Keras 3, whose calls with initial states ignore masks); None where the
            layers' own rules say it.
    """

    layer: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: int = 0
    masked: bool | None = None


@dataclass(frozen=True)
class SourceInput:
    """What the model takes.

    Args:
        value: The name of the value.
        shape: None for what is open; () for a nested model that does not tell.
        dtype: As declared, such as 'int32' or 'string'; '' where the file does not tell.
        name: The user's name for it; '' where there is none.
    """

    value: str
    shape: Shape
    dtype: str = ""
    name: str = ""


@dataclass(frozen=True)
class SourceModel:
    """A whole model.

    Args:
        keras_version: The version that wrote it: '2.2.4', '3.15.1'; '1' or '2' where a file only
            tells that much.
        layers: By name, unique in this model; a nested model is a layer with a part 'model'.
        inputs: In the model's order.
        calls: In an order that can be run.
        outputs: Names of values, in the model's order.
        loss: What it was trained with, as the file has it; None where that does not tell.
    """

    keras_version: str
    layers: Mapping[str, SourceLayer]
    inputs: tuple[SourceInput, ...]
    calls: tuple[SourceCall, ...]
    outputs: tuple[str, ...]
    loss: Any = None

    @property
    def output_layers(self) -> tuple[str, ...]:
        """The name of the layer that makes each output."""
        return tuple(value.rsplit(":", 2)[0] for value in self.outputs)
