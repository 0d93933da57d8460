"""Reading and writing feature data: NumPy's `.npz` with x and y.

Not texts, which are `gatelet.runtime.data.dataset`. NumPy is imported when a file is read.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatelet.errors import BackendMissing, DataError
from gatelet.runtime.archives import twice_in
from gatelet.runtime.files import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_COMPRESSION = 200
"""Times that arrays may grow: of padding they grow a lot."""
UNPACKED_BYTES = 256 * 2**20
"""What they may have in any case."""
_INPUT_KINDS = "fiub"
GROUP = "group"
"""The array that says which rows belong together."""
GROUP_KINDS = "iubUS"
_HASHED_ROWS = 4096
"""Rows that are hashed at once: some arrays are on disk."""
_ZIP_MAGIC = b"PK\x03\x04"


@dataclass(frozen=True)
class Arrays:
    """Rows for a model that takes numbers.

    Args:
        inputs: One array [N, ...] for each input of the model, in its order; or what is used like
            one and reads rows when it is asked for some.
        targets: y [N] or [N, ...]: class numbers, labels or values; None where there are none.
        name: Where they came from, for messages.
        groups: Which rows belong together, [N]: of one patient, one machine; None where nobody
            says.
    """

    inputs: tuple["NDArray[Any]", ...]
    targets: "NDArray[Any] | None"
    name: str
    groups: "NDArray[Any] | None" = None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.inputs[0])

    def rows(self, places: "Sequence[int] | NDArray[Any]") -> "Arrays":
        """Return some of the rows, by their places."""
        import numpy as np

        kept = np.asarray(places, np.intp)
        inputs = tuple(one.take(kept, axis=0) for one in self.inputs)
        targets, groups = (
            None if one is None else one[kept] for one in (self.targets, self.groups)
        )
        return replace(self, inputs=inputs, targets=targets, groups=groups)


def read_arrays(
    path: Path | str,
    *,
    require_targets: bool = True,
    group: str | None = None,
    x_of: "Callable[[Path], Any] | None" = None,
) -> Arrays:
    """Read a `.npz` file.

    Args:
        path: A file with the array `x` [N, ...], or `x_0`, `x_1`, ... for several inputs, and
            `y` [N, ...]; and `group` [N], optional: which rows belong together.
        require_targets: False reads a file without y too.
        group: Another name for `group`, which must be there then.
        x_of: Returns what stands for `x` of a file, if that is not to be read now.

    Returns:
        At least one row.

    Raises:
        DataError: The file cannot be read, an array is missing, holds objects, or has another
            number of rows.
        BackendMissing: NumPy is not installed.
    """
    path = Path(path)
    found = _load(path, x_of)
    names = ["x"] if "x" in found else sorted((n for n in found if n.startswith("x_")), key=_number)
    if not names:
        raise DataError(
            f"'{path}' has no array 'x'; it has {', '.join(map(repr, found)) or 'none'}: save it "
            "with numpy.savez(file, x=features, y=labels)",
            path=str(path),
        )
    if require_targets and "y" not in found:
        raise DataError(
            f"'{path}' has no array 'y' (the labels or values); it has "
            f"{', '.join(map(repr, found))}: save it with numpy.savez(file, x=features, y=labels)",
            path=str(path),
        )
    if group is not None and group not in found:
        raise DataError(
            f"'{path}' has no array '{group}' (the groups); it has {', '.join(map(repr, found))}: "
            "name the right one with --group",
            path=str(path),
        )
    group = group or GROUP
    used = [*names, *(name for name in ("y", group) if name in found)]
    _check(path, {name: found[name] for name in used}, group)
    inputs = tuple(found[name] for name in names)
    return Arrays(inputs, found.get("y"), str(path), found.get(group))


def write_arrays(arrays: Arrays, path: Path) -> None:
    """Write what `read_arrays` reads: the same rows give the same bytes.

    Raises:
        OutputError: The file cannot be written there.
    """
    import numpy as np

    written = io.BytesIO()
    np.savez(written, **_named(arrays))  # type: ignore[arg-type]  # its stubs: `allow_pickle`
    write_atomically(path, written.getvalue())


def sha256_of_arrays(arrays: Arrays) -> str:
    """Hash inputs, targets and their order; not where they came from, nor their groups.

    Returns:
        64 hexadecimal digits.
    """
    import numpy as np

    digest = hashlib.sha256()
    for name, array in _named(arrays).items():
        if name != GROUP:
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            for at in range(0, len(array), _HASHED_ROWS):
                digest.update(np.ascontiguousarray(array[at : at + _HASHED_ROWS]).tobytes())
    return digest.hexdigest()


def _named(arrays: Arrays) -> dict[str, "NDArray[Any]"]:
    several = len(arrays.inputs) > 1
    named = {f"x_{at}" if several else "x": one for at, one in enumerate(arrays.inputs)}
    rest = {"y": arrays.targets, GROUP: arrays.groups}
    return named | {name: one for name, one in rest.items() if one is not None}


def _load(path: Path, x_of: "Callable[[Path], Any] | None") -> dict[str, "NDArray[Any]"]:
    try:
        import numpy as np
    except ImportError as error:
        raise BackendMissing(
            "reading feature data needs NumPy: pip install numpy", command="pip install numpy"
        ) from error
    try:
        _check_archive(path)
        with np.load(path, allow_pickle=False) as archive:
            if not hasattr(archive, "files"):
                raise DataError(
                    f"'{path}' is a single array, expected a .npz with x and y: save it with "
                    "numpy.savez(file, x=features, y=labels)",
                    path=str(path),
                )
            return {
                name: x_of(path) if x_of is not None and name == "x" else archive[name]
                for name in archive.files
            }
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        said = " ".join(str(error).split())[:200]
        raise DataError(f"'{path}' cannot be read as .npz: {said}", path=str(path)) from error


def _check_archive(path: Path) -> None:
    """Refuse an archive of two readings, or that unpacks to very much."""
    with path.open("rb") as file:
        if file.read(len(_ZIP_MAGIC)) != _ZIP_MAGIC:
            return
        with zipfile.ZipFile(file) as archive:
            twice, members = twice_in(archive), archive.infolist()
    keys = [one.filename.removesuffix(".npy") for one in members]
    twice = twice or next((one for one in keys if keys.count(one) > 1), "")
    if twice:
        raise DataError(
            f"'{path}' has two arrays '{twice}', of which readers take the one or the other: save "
            "it again",
            path=str(path),
        )
    unpacked, packed = (sum(o.file_size for o in members), sum(o.compress_size for o in members))
    if unpacked > max(UNPACKED_BYTES, MAX_COMPRESSION * packed):
        raise DataError(
            f"'{path}' is refused: its arrays have {unpacked:,} bytes in {packed:,} compressed "
            "ones; if they are to be so, save them with numpy.savez, uncompressed",
            path=str(path),
        )


def _check(path: Path, arrays: dict[str, "NDArray[Any]"], group: str) -> None:
    rows = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        written = ", ".join(f"'{name}' {count:,}" for name, count in rows.items())
        raise DataError(f"'{path}': the arrays have different numbers of rows: {written}")
    if not next(iter(rows.values())):
        raise DataError(f"'{path}' has no rows", path=str(path))
    if group in arrays and (arrays[group].ndim != 1 or arrays[group].dtype.kind not in GROUP_KINDS):
        raise DataError(
            f"'{path}': '{group}' holds {arrays[group].dtype} {list(arrays[group].shape)}, "
            "expected a whole number or a text for each row, [N]",
            path=str(path),
        )
    for name, array in arrays.items():
        if name not in ("y", group) and array.dtype.kind not in _INPUT_KINDS:
            raise DataError(
                f"'{path}': '{name}' holds {array.dtype}, expected numbers", path=str(path)
            )


def _number(name: str) -> tuple[int, str]:
    digits = name.removeprefix("x_")
    return (int(digits) if digits.isdigit() else 10**9, name)
