"""What training reads: files of rows, their windows and labels, and their parts.

Not what becomes of them: that is `gatelet.train.prepare`.
"""

from gatelet.train.inputs.reading import Given, read_given, read_like

__all__ = ["Given", "read_given", "read_like"]
