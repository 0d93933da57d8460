"""Export to C: kernels that are real C, and a list of calls; see docs/decisions/0015."""

from gatelet.convert.exporters.c.export import export_c

__all__ = ["export_c"]
