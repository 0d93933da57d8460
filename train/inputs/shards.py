"""Features of `.npz` files, one or a folder of them: in memory, or on disk where they are many.

Not the arrays of a file, which `gatelet.runtime.data.arrays` checks, nor what reads rows on disk:
that is `gatelet.train.inputs.fragments`.
"""

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatelet.errors import DataError
from gatelet.runtime.data.arrays import Arrays, read_arrays
from gatelet.train.inputs import fragments
from gatelet.train.inputs.fragments import Fragment, Stored, blocks_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARRAYS = ".npz"


def shards_of(path: Path) -> list[Path]:
    """List the `.npz` files that a path names: itself, or those of a folder, by name."""
    if path.is_dir():
        return sorted(one for one in path.glob("*") if one.suffix.lower() == ARRAYS)
    return [path] if path.suffix.lower() == ARRAYS else []


def read_features(path: Path, *, group: str | None) -> Arrays:
    """Read features with their answers.

    Args:
        path: A `.npz` file as `read_arrays` takes it, or a folder of such files.
        group: Another name for their array `group`.

    Returns:
        x float32 [N, T, F], finite: a `Stored` where that has many bytes. y and groups
        are in memory. Of a folder the rows of each file, by the files' names.

    Raises:
        DataError: A file cannot be used, or is not like the others.
    """
    shards = shards_of(path)
    x_bytes = sum(4 * math.prod(one.shape) for one in map(_header, shards) if one is not None)
    x_of = _stored if x_bytes > fragments.IN_MEMORY_BYTES else None
    each = [_checked(read_arrays(one, group=group, x_of=x_of)) for one in shards]
    return each[0] if len(each) == 1 else _joined(path, each)


@dataclass(frozen=True)
class _Header:
    """What a file says of its `x`.

    Args:
        shape: All of it.
        dtype: As it is stored.
        offset: Bytes of the file before the numbers; None where they must be read at once.
    """

    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    offset: int | None


def _header(path: Path) -> _Header | None:
    """Read the header of `x`; None where `read_arrays` says what is wrong."""
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive, archive.open("x.npy") as member:
            version = np.lib.format.read_magic(member)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, by_column, dtype = read(member)
            header_bytes, info = member.tell(), archive.getinfo("x.npy")
        with path.open("rb") as file:
            file.seek(info.header_offset)
            local = file.read(_LOCAL_HEADER)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    names = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
    offset = info.header_offset + _LOCAL_HEADER + names + header_bytes
    at_once = by_column or info.compress_type != zipfile.ZIP_STORED
    return _Header(shape, dtype, None if at_once else offset)


_LOCAL_HEADER = 30
"""Bytes of a member's header in a zip file, before its name and its extra field, whose lengths are
its last four. Source: APPNOTE.TXT of PKWARE, 4.3.7."""


def _stored(path: Path) -> "Stored | NDArray[Any]":
    """Return what stands for the x of a file: nothing is read but its header."""
    import numpy as np

    header = _header(path)
    if header is None:
        raise ValueError("its 'x' has no header that can be read")
    row = header.shape[1:]
    if len(row) != 2 or not math.prod(header.shape) or header.dtype.kind not in "fiub":
        return np.broadcast_to(np.zeros((), header.dtype), header.shape)  # which is refused
    count, offset = header.shape[0], header.offset
    if offset is None:
        return Stored([Fragment(count, partial(_read_whole, path))], row)
    rows = max(1, fragments.FRAGMENT_BYTES // (4 * math.prod(row)))
    row_bytes = header.dtype.itemsize * math.prod(row)
    parts = []
    for at in range(0, count, rows):
        shape = (min(rows, count - at), *row)
        read = partial(_read, path, offset + at * row_bytes, shape, header.dtype)
        parts.append(Fragment(shape[0], read))
    return Stored(parts, row)


def _read(
    path: Path, offset: int, shape: tuple[int, ...], dtype: "np.dtype[Any]"
) -> "NDArray[np.float32]":
    import numpy as np

    try:
        with path.open("rb") as file:
            file.seek(offset)
            found = np.fromfile(file, dtype, math.prod(shape)).reshape(shape)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return _as_float32(found)


def _read_whole(path: Path) -> "NDArray[np.float32]":
    import numpy as np

    try:
        # np.load leaves a file open that it cannot read
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return _as_float32(archive["x"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    said = " ".join(str(error).split())[:200]
    return DataError(
        f"'{path}' cannot be read any more ({said}): leave the data as they are while training "
        "reads them",
        path=str(path),
    )


def _as_float32(array: "NDArray[Any]") -> "NDArray[np.float32]":
    import numpy as np

    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def _checked(arrays: Arrays) -> Arrays:
    """Check that arrays are features, and finite."""
    import numpy as np

    if len(arrays.inputs) != 1 or arrays.inputs[0].ndim != 3:
        held = " and ".join(str(list(one.shape)) for one in arrays.inputs)
        raise DataError(
            f"'{arrays.name}': the features are {held}, expected one array 'x' [N, T, F] (rows, "
            "timesteps, features): reshape it, and save it again",
            path=arrays.name,
        )
    (x,) = arrays.inputs
    if not x.shape[1] or not x.shape[2]:
        raise DataError(f"'{arrays.name}': 'x' is {list(x.shape)}, so a row holds no number")
    before = 0
    # each fragment once, and none is kept: other files follow
    for block in (one.read() for one in x.fragments) if isinstance(x, Stored) else blocks_of(x):
        bad = np.argwhere(~np.isfinite(_as_float32(block)))
        if bad.size:
            row, step, feature = bad[0].tolist()
            raise DataError(
                f"'{arrays.name}': 'x' is {block[row, step, feature]:g} in row {before + row}, "
                f"timestep {step}, feature {feature} (counted from 0): put a finite number there, "
                "or leave the row out",
                path=arrays.name,
                row=before + row,
            )
        before += len(block)
    # a copy, so that nothing else holds the rows
    return arrays if isinstance(x, Stored) else replace(arrays, inputs=(x.astype(np.float32),))


def _joined(path: Path, each: Sequence[Arrays]) -> Arrays:
    """Return the rows of all files of a folder, one after the other."""
    import numpy as np

    first = each[0]
    for one in each[1:]:
        if _kind(one) != _kind(first):
            raise DataError(
                f"'{one.name}' has {_kind(one)}, and '{first.name}' {_kind(first)}: all files of a "
                "folder must be alike",
                path=one.name,
            )
    inputs: list[Any] = [one.inputs[0] for one in each]
    whole: Any
    if isinstance(inputs[0], Stored):
        whole = Stored([part for one in inputs for part in one.fragments], inputs[0].shape[1:])
    else:
        whole = np.concatenate(inputs)
    targets, groups = (
        np.concatenate([getattr(one, name) for one in each])
        if getattr(first, name) is not None
        else None
        for name in ("targets", "groups")
    )
    return Arrays((whole,), targets, str(path), groups)


def _kind(arrays: Arrays) -> str:
    """Say what must be the same of two files."""
    named = {"x": arrays.inputs[0], "y": arrays.targets, "group": arrays.groups}
    return ", ".join(
        f"{'text' if one.dtype.kind in 'US' else 'numbers'} '{name}' "
        f"{['N', *one.shape[1:]]}".replace("'N'", "N")
        for name, one in named.items()
        if one is not None
    )
