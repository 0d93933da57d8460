"""What an exporter gives.

Not an exporter.
"""

from dataclasses import dataclass

__all__ = ["Exported"]


@dataclass(frozen=True)
class Exported:
    """An artifact in memory.

    Args:
        data: The file's bytes.
        ops: The names of its operators, each once, sorted.
        max_batch: How many rows may be run at once; None for any number. 1 where rows run
            together would change each other's results.
    """

    data: bytes
    ops: tuple[str, ...]
    max_batch: int | None = None
