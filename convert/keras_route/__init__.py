"""The route past the Graph: Keras' own converters, with Keras as the oracle."""
