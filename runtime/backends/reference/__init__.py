"""The oracle: the Graph's equations in NumPy."""

from gatelet.runtime.backends.reference.activations import ACTIVATIONS, activate
from gatelet.runtime.backends.reference.recurrent import gru_step, lstm_step, simple_rnn_step
from gatelet.runtime.backends.reference.run import (
    OPERATIONS,
    ReferenceBackend,
    array_of,
    run_graph,
)

__all__ = [
    "ACTIVATIONS",
    "OPERATIONS",
    "ReferenceBackend",
    "activate",
    "array_of",
    "gru_step",
    "lstm_step",
    "run_graph",
    "simple_rnn_step",
]
