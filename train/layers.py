"""The layers between what a network takes and its scores, as a configuration asks for them.

Not the network, which is `gatelet.train.model`.
"""

from types import ModuleType
from typing import Any

from gatelet.train.config import TrainConfig

CELL_LAYERS = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}
"""What Keras calls the cells."""

_POOLED = {"mean": "GlobalAveragePooling1D", "max": "GlobalMaxPooling1D"}


def hidden_layers(keras: ModuleType, config: TrainConfig, *, steps: bool = False) -> list[Any]:
    """Return a convolution if asked for, the recurrence, and the pooling of its timesteps.

    Args:
        keras: The module, which is imported by then.
        config: Cell, units, layers, bidirectional, conv, conv_width, pooling.
        steps: Each timestep has scores: none is lost to the convolution, none pooled.

    Returns:
        Layers from [B, T, F] to [B, U], or [B, 2U] of both directions; of steps [B, T, U].
    """
    found = []
    if config.conv:
        padding = "same" if steps else "valid"
        found.append(
            keras.layers.Conv1D(
                config.conv, config.conv_width, padding=padding, activation="relu", name="conv"
            )
        )
    for number in range(1, config.layers + 1):
        is_last = number == config.layers
        found.append(
            _recurrent(
                keras,
                config,
                name=config.cell if is_last else f"{config.cell}_{number}",
                sequences=steps or not is_last or config.pooling != "last",
            )
        )
    if config.pooling != "last":
        found.append(getattr(keras.layers, _POOLED[config.pooling])(name="pooling"))
    return found


def _recurrent(keras: ModuleType, config: TrainConfig, *, name: str, sequences: bool) -> Any:
    cell = getattr(keras.layers, CELL_LAYERS[config.cell])
    if not config.bidirectional:
        return cell(config.units, return_sequences=sequences, name=name)
    return keras.layers.Bidirectional(
        cell(config.units, return_sequences=sequences), name=f"bidirectional_{name}"
    )


def set_memory(model: Any, config: TrainConfig) -> None:
    """Let the gates of a fresh model remember for up to `memory` timesteps, each unit its own time.

    Units that forget after two steps, as Keras' own initial biases have it, learn little from the
    words that a long text begins with. A cell without gates is left alone, and no time is longer
    than a row.

    Args:
        model: Built.
        config: memory (0 leaves the model alone), cell, units, bidirectional, seed.

    Source: Tallec & Ollivier 2018, Can recurrent neural networks warp time?, equation 16.
    """
    import numpy as np

    if not config.memory or config.cell == "rnn":
        return
    generator, units = np.random.default_rng(config.seed), config.units
    longest = min(config.memory, model.input_shape[1] or config.memory)
    for layer in model.layers:
        both = [getattr(layer, name, None) for name in ("forward_layer", "backward_layer")]
        for one in filter(None, both if any(both) else [layer]):
            if type(one).__name__ != CELL_LAYERS[config.cell]:
                continue
            bias = np.array(one.cell.bias)
            kept = np.log(generator.uniform(1, max(longest - 1, 1), units))
            if config.cell == "lstm":  # i, f, g, o
                bias[:units], bias[units : 2 * units] = -kept, kept
            else:  # the update gate of a GRU keeps
                bias[0, :units] = kept
            one.cell.bias.assign(bias)


def described(config: TrainConfig) -> str:
    """Return the layers in a few words: 'Conv1D(32), 2 x bidirectional GRU(64), mean'."""
    both = "bidirectional " if config.bidirectional else ""
    count = f"{config.layers} x " if config.layers > 1 else ""
    parts = [f"Conv1D({config.conv})"] if config.conv else []
    parts.append(f"{count}{both}{CELL_LAYERS[config.cell]}({config.units})")
    parts += [] if config.pooling == "last" else [config.pooling]
    return ", ".join(parts)
