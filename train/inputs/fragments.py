"""Features of more rows than memory holds: read a fragment at a time, used like an array.

Not the files that fragments are of: those are `gatelet.train.inputs.shards`.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gatelet.runtime.data.arrays import Arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IN_MEMORY_BYTES = 256 * 2**20
"""Features of more bytes stay on disk: training needs several times as much of what is read."""
POOL_BYTES = 256 * 2**20
"""What of them is in memory at once, and shuffled together."""
FRAGMENT_BYTES = 8 * 2**20
"""About what a fragment has: many are a pool, so neighbours in a file are strangers in it."""
STEP_ROWS = 256
"""What a model scores at once: blocks of rows are multiples."""


@dataclass(frozen=True)
class Fragment:
    """Rows that are read together.

    Args:
        rows: How many.
        read: Returns them, float32 [rows, T, F].
    """

    rows: int
    read: "Callable[[], NDArray[np.float32]]"


class Stored:
    """Rows on disk, float32 [N, T, F], some of them or all, in any order.

    What is asked of it by place, `stored[places]` or `stored[a:b]`, is an array in memory; `take`
    returns rows on disk again.

    Args:
        fragments: One after the other, all rows there are.
        row: The shape of each, (T, F); of windows (F,).
        places: Those of its rows; None for all.
        window: Of rows of a table: how many, from each place on, are a row here. Each fragment
            has as many rows of the next as that takes. None for rows that are whole.
        cache: Fragments that were read, shared with what it was taken of.
    """

    def __init__(
        self,
        fragments: Sequence[Fragment],
        row: tuple[int, ...],
        *,
        places: "NDArray[np.intp] | None" = None,
        window: int | None = None,
        cache: "_Cache | None" = None,
    ) -> None:
        import numpy as np

        self.fragments = tuple(fragments)
        self._ends = np.cumsum([one.rows for one in self.fragments], dtype=np.intp)
        self._places = np.arange(self._ends[-1], dtype=np.intp) if places is None else places
        self._cache = _Cache(self.fragments, row) if cache is None else cache
        self._row, self._window = row, window
        steps = () if window is None else (window,)
        self.shape = (len(self._places), *steps, *row)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(np.float32)
        self.nbytes = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._places)

    def __getitem__(self, rows: "slice | NDArray[np.intp]") -> "NDArray[np.float32]":
        """Read some of the rows."""
        import numpy as np

        places = self._places[rows]
        numbers = self._numbers(places)
        found = np.empty((len(places), *self.shape[1:]), np.float32)
        for number in self._cache.at_hand_first(np.unique(numbers).tolist()):
            inside = np.flatnonzero(numbers == number)
            local = places[inside] - (self._ends[number] - self.fragments[number].rows)
            if self._window is not None:
                local = local[:, None] + np.arange(self._window)
            found[inside] = self._cache.read(number)[local]
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> "NDArray[Any]":
        """Read all rows, for what is done with few."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def take(self, places: "Sequence[int] | NDArray[np.intp]", axis: int = 0) -> "Stored":
        """Return some of the rows, which stay where they are.

        Args:
            places: Among these rows.
            axis: That of the rows, 0, as of `numpy.ndarray.take`.
        """
        return self._of(self._places.take(places, axis=axis))

    def joined(self, other: "Stored") -> "Stored":
        """Return these rows and then others of the same fragments."""
        import numpy as np

        return self._of(np.concatenate([self._places, other._places]))

    def shuffled(self, generator: "np.random.Generator") -> "NDArray[np.intp]":
        """Return all places in a random order, in which few fragments are needed at once.

        Fragments are shuffled and parted into pools, and the rows of a pool are shuffled. The rows
        of a single pool come in the order that they would have in memory.

        Args:
            generator: Whose state decides the order.
        """
        import numpy as np

        numbers = self._numbers(self._places)
        pools = self._pools(generator, np.unique(numbers))
        pool_of = np.empty(len(self.fragments), np.intp)
        for number, pool in enumerate(pools):
            pool_of[pool] = number
        by_pool = np.argsort(pool_of[numbers], kind="stable")
        ends = np.cumsum(np.bincount(pool_of[numbers]))[:-1]
        each = np.split(by_pool, ends)
        return np.concatenate([one[generator.permutation(len(one))] for one in each])

    def _pools(
        self, generator: "np.random.Generator", numbers: "NDArray[np.intp]"
    ) -> "list[NDArray[np.intp]]":
        """Part fragments, in a random order, so that those of a pool fit into memory."""
        import numpy as np

        sizes = self._cache.sizes
        if sizes[numbers].sum() <= POOL_BYTES:
            return [numbers]
        pools: list[list[int]] = [[]]
        held = 0
        for number in generator.permutation(numbers).tolist():
            held += int(sizes[number])
            if pools[-1] and held > POOL_BYTES:
                pools.append([])
                held = int(sizes[number])
            pools[-1].append(number)
        return [np.array(one, np.intp) for one in pools]

    def _numbers(self, places: "NDArray[np.intp]") -> "NDArray[np.int32]":
        """Return the fragment of each row."""
        import numpy as np

        return np.searchsorted(self._ends, places, side="right").astype(np.int32)

    def _of(self, places: "NDArray[np.intp]") -> "Stored":
        return Stored(
            self.fragments, self._row, places=places, window=self._window, cache=self._cache
        )


class _Cache:
    """The fragments that were used last, together no larger than a pool, or a single one."""

    def __init__(self, fragments: Sequence[Fragment], row: tuple[int, ...]) -> None:
        import numpy as np

        self._fragments = fragments
        self.sizes = np.array([4 * math.prod((one.rows, *row)) for one in fragments])
        self._read: OrderedDict[int, NDArray[np.float32]] = OrderedDict()

    def at_hand_first(self, numbers: list[int]) -> list[int]:
        """Return fragments in an order in which none is dropped before it is used."""
        return sorted(numbers, key=lambda number: number not in self._read)

    def read(self, number: int) -> "NDArray[np.float32]":
        """Return the rows of a fragment."""
        if number not in self._read:
            left = POOL_BYTES - int(self.sizes[number])
            while self._read and sum(one.nbytes for one in self._read.values()) > left:
                self._read.popitem(last=False)
            self._read[number] = self._fragments[number].read()
        self._read.move_to_end(number)
        return self._read[number]


def in_memory(rows: Arrays) -> Arrays:
    """Read rows that are on disk, for what is done with few."""
    import numpy as np

    return replace(rows, inputs=tuple(map(np.asarray, rows.inputs)))


def blocks_of(features: "Stored | NDArray[Any]") -> "Iterator[NDArray[Any]]":
    """Return rows in their order, some at a time; of an array views."""
    row = max(1, features.nbytes // max(1, len(features)))
    rows = STEP_ROWS * max(1, FRAGMENT_BYTES // (STEP_ROWS * row))
    for at in range(0, len(features), rows):
        yield features[at : at + rows]
