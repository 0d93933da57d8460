"""The named models of the conformance matrix, as functions that build them with Keras.

Not the checks: see test_conformance.py. Each function takes the keras module and gives a model;
weights of trained size are set afterwards.
"""

from tests.conformance.layer_cases import LAYER_CASES
from tests.conformance.recurrent_cases import RECURRENT_CASES

__all__ = ["CASES"]

CASES = (*RECURRENT_CASES, *LAYER_CASES)
