"""HDF5 as strangers' files hold it: weights and texts, read in bounded memory.

Not Keras' layouts inside such a file: `gatelet.convert.reading.weights` knows those.

Nothing outside the file is opened: links to other files, and datasets stored in or made up from
others, are refused. Sizes are checked before anything is allocated.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gatelet.errors import ModelError

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_OBJECTS = 100_000
MAX_DEPTH = 64
MAX_ATTRIBUTES = 10_000
MAX_ATTRIBUTE_BYTES = 2**30
MAX_WEIGHTS_BYTES = 4 * 2**30
# weights hardly compress: many that do, by this much, hold nothing
MAX_COMPRESSION = 50
_COMPRESSION_COUNTS_FROM_BYTES = 16 * 2**20

Floats = NDArray[np.float32]


@contextlib.contextmanager
def open_hdf5(file: IO[bytes], where: str) -> "Iterator[Hdf5]":
    """Open an HDF5 file.

    Args:
        file: Open for reading, and seekable.
        where: What to call it in messages.

    Raises:
        ModelError: It is damaged, or holds what is refused; also while the caller reads from it.
    """
    try:
        import h5py
    except ImportError as error:
        raise ModelError(
            "reading a Keras file needs h5py: pip install 'gatelet[convert]'"
        ) from error
    try:
        with h5py.File(file, "r") as opened:
            yield Hdf5(opened, where)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, UnicodeError) as error:
        told = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{where} is damaged: its HDF5 part cannot be read ({told}); get the file again"
        ) from error


def join(*parts: str) -> str:
    """Return a path in the form that `Hdf5` knows: one slash between names, no empty names.

    Files from Windows have backslashes; layer names may hold slashes of either kind.
    """
    names = "/".join(parts).replace("\\", "/").split("/")
    return "/".join(name for name in names if name not in ("", "."))


class Hdf5:
    """The groups and datasets of a file, by path."""

    def __init__(self, file: Any, where: str) -> None:
        self._where = where
        self._groups: dict[str, Any] = {"": file}
        self._datasets: dict[str, Any] = {}
        self._children: dict[str, dict[str, None]] = {}
        self._addresses: set[tuple[int, int]] = set()
        self._stored_bytes = 0
        self._read_bytes = 0
        self._backed_bytes = 0
        self._file_bytes = int(file.id.get_filesize())
        self._walk(file)

    def has_group(self, path: str) -> bool:
        """Return whether there is a group."""
        return join(path) in self._groups or join(path) in self._children

    def has_dataset(self, path: str) -> bool:
        """Return whether there is a dataset."""
        return join(path) in self._datasets

    def children(self, path: str) -> list[str]:
        """Return the names in a group; [] without one."""
        return list(self._children.get(join(path), ()))

    def text(self, path: str, name: str) -> str | None:
        """Read an attribute that holds one text; None without it."""
        found = self._attribute(path, name)
        if isinstance(found, np.ndarray) and found.shape == () and found.dtype.kind in "SO":
            found = found.item()
        if isinstance(found, bytes):
            found = found.decode("utf-8")
        return found if isinstance(found, str) else None

    def texts(self, path: str, name: str) -> list[str] | None:
        """Read an attribute that holds several texts, perhaps in numbered pieces.

        Args:
            path: Of the group.
            name: Of the attribute; pieces are name0, name1 and so on.

        Returns:
            The texts, or None without such an attribute.
        """
        if (whole := self._texts(path, name)) is not None:
            return whole
        found: list[str] = []
        for index in range(MAX_ATTRIBUTES):
            piece = self._texts(path, f"{name}{index}")
            if piece is None:
                return found if index else None
            found += piece
        raise self._refusal(f"'{path}' has more than {MAX_ATTRIBUTES:,} attributes")

    def array(self, path: str) -> Floats:
        """Read a dataset of floats, or a single whole number such as a count, as float32.

        Raises:
            ModelError: It is too large, not stored in the file, or holds no floats.
        """
        dataset = self._datasets.get(join(path))
        if dataset is None:
            raise ModelError(f"{self._where} is damaged: it holds no weights '{path}'")
        self._check(path, dataset)
        if str(dataset.attrs.get("dtype", "")) == "bfloat16" and dataset.dtype.itemsize == 2:
            halves = np.frombuffer(np.asarray(dataset).tobytes(), dtype="<u2")
            words = halves.astype("<u4") << 16
            found: Floats = words.view("<f4").reshape(dataset.shape).astype(np.float32)
        elif dataset.dtype.kind == "f" or (dataset.dtype.kind in "iu" and dataset.shape == ()):
            found = np.asarray(dataset).astype(np.float32)
        else:
            raise ModelError(
                f"{self._where}: the weights '{path}' are {dataset.dtype}, expected floats; save "
                "the model before it is quantized"
            )
        return found

    def _check(self, path: str, dataset: Any) -> None:
        if dataset.external or dataset.is_virtual:
            raise self._refusal(f"the weights '{path}' lie in other files")
        declared = math.prod(dataset.shape or (0,)) * max(4, int(dataset.dtype.itemsize))
        self._read_bytes += declared
        if self._read_bytes > MAX_WEIGHTS_BYTES:
            raise self._refusal(
                f"the weights '{path}' are {list(dataset.shape)}, and with them all weights are "
                f"over {MAX_WEIGHTS_BYTES:,} bytes, the most allowed"
            )
        self._backed_bytes += int(dataset.id.get_storage_size())
        if self._read_bytes > max(
            _COMPRESSION_COUNTS_FROM_BYTES, self._backed_bytes * MAX_COMPRESSION
        ):
            raise self._refusal(
                f"the weights '{path}', and those before, claim {self._read_bytes:,} bytes, and "
                f"{self._backed_bytes:,} are stored"
            )

    def _texts(self, path: str, name: str) -> list[str] | None:
        found = self._attribute(path, name)
        if found is None:
            return None
        if not isinstance(found, np.ndarray) or found.ndim != 1:
            raise ValueError(f"the attribute '{name}' of '{path}' is no list")
        if not found.size:
            return []
        return [one.decode("utf-8") if isinstance(one, bytes) else str(one) for one in found]

    def _attribute(self, path: str, name: str) -> Any:
        """Read an attribute, after its size is known to be small."""
        group = self._groups.get(join(path))
        if group is None or name not in group.attrs:
            return None
        one = group.attrs.get_id(name)
        if one.dtype.kind not in "SOf" or (one.dtype.kind == "f" and one.shape != (0,)):
            return None
        size_bytes = math.prod(one.shape) * int(one.dtype.itemsize)
        if one.dtype.kind == "O":
            # texts of variable length lie anywhere but in datasets, and may share a place
            elsewhere = max(0, self._file_bytes - self._stored_bytes)
            size_bytes += math.prod(one.shape) * elsewhere
        if size_bytes > MAX_ATTRIBUTE_BYTES:
            raise self._refusal(
                f"the attribute '{name}' of '{path or '/'}' may take {size_bytes:,} bytes, "
                f"{MAX_ATTRIBUTE_BYTES:,} is the most allowed"
            )
        return group.attrs[name]

    def _walk(self, file: Any) -> None:
        """Find all objects by their own names, and refuse those that lie elsewhere."""
        import h5py

        waiting = [("", file, 0)]
        while waiting:
            path, group, depth = waiting.pop()
            if depth > MAX_DEPTH:
                raise self._refusal(f"its groups are nested deeper than {MAX_DEPTH}")
            for name in group:
                inner = join(path, name)
                link = group.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise self._refusal(f"'{inner}' is a link to another place")
                found = group[name]
                self._note_address(inner, found)
                if isinstance(found, h5py.Dataset):
                    self._note(inner, found, self._datasets)
                    self._stored_bytes += int(found.id.get_storage_size())
                elif isinstance(found, h5py.Group):
                    self._note(inner, found, self._groups)
                    waiting.append((inner, found, depth + 1))

    def _note_address(self, path: str, found: Any) -> None:
        """Refuse an object with two names: sizes would not add up, and loops would not end."""
        import h5py

        info = h5py.h5o.get_info(found.id)
        if (address := (info.fileno, info.addr)) in self._addresses:
            raise self._refusal(f"'{path}' is another name for what it already has")
        self._addresses.add(address)

    def _note(self, path: str, found: Any, where: dict[str, Any]) -> None:
        if path in self._datasets or (path in self._groups and where is self._datasets):
            raise self._refusal(f"it has '{path}' twice")
        where[path] = found
        if len(self._groups) + len(self._datasets) > MAX_OBJECTS:
            raise self._refusal(f"it has more than {MAX_OBJECTS:,} groups and datasets")
        while path:
            path, _, name = path.rpartition("/")
            self._children.setdefault(path, {})[name] = None

    def _refusal(self, reason: str) -> ModelError:
        return ModelError(f"{self._where} is refused: {reason}; no Keras model is like that")
