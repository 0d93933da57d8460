"""gatelet: recurrent networks from training to edge devices, with proof that predictions survive.

Not a place for code: import `gatelet.runtime`, `gatelet.convert` or `gatelet.train`.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
