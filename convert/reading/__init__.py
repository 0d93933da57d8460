"""Reading: what a Keras file or a live Keras model says, as data.

No code from the file runs, pickles are read as data, and Keras is not needed.
"""

from gatelet.convert.reading.equivalents import Equivalents
from gatelet.convert.reading.files import keras_suffix, read_keras_file
from gatelet.convert.reading.keras_object import read_keras_object
from gatelet.convert.reading.legacy_file import read_weights_with_config
from gatelet.convert.reading.source import SourceModel

__all__ = [
    "Equivalents",
    "SourceModel",
    "keras_suffix",
    "read_keras_file",
    "read_keras_object",
    "read_weights_with_config",
]
