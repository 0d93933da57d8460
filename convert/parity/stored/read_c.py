"""Reads the weights that the blob of a C model holds, where its table of sections says they lie.

The table is data that comes with the artifact (docs/bundle.md): no exporter is asked.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.layouts import (
    BITS_OF,
    DTYPES,
    NIBBLES,
    ORDERS,
    pack,
    unpack_levels,
    unpack_nibbles,
)
from gatelet.convert.parity.stored.file import Stored, StoredFile, cut_off_levels
from gatelet.errors import BundleDamaged

Array = NDArray[Any]

_SUMMED_FOURS = 64
"""A sum is of 256 rows, in fours."""

_TILES = {"tiles": (3, 2), "fours": (4, 2), "pairs": (4, 2), "nibbles": (4, 2)}
"""The rank of what is stored in tiles, and its axis of a tile's columns."""


def read_c(file: StoredFile) -> list[Stored] | None:
    """Read the sections of a blob.

    Returns:
        What each says of its weight; None without a table. A section in an order, or of a type,
        that is not known here is left out.

    Raises:
        BundleDamaged: A section does not fit the blob, or the weight that it names.
    """
    if file.sections is None:
        return None
    data = file.path.read_bytes()
    found = []
    for section in file.sections:
        tensor = file.graph.weights.get(section["weight"])
        known = section["order"] in ORDERS and all(map(_is_known, _arrays(section)))
        if tensor is None or not known:
            continue
        try:
            found.append(_read(data, section, tensor.shape))
        except ValueError as error:
            raise BundleDamaged(
                f"the section of '{section['weight']}' at {section['offset']} does not fit "
                f"'{file.path.name}': {error}"
            ) from error
    return found


def _arrays(section: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    scales = section.get("scales", [])
    sums = [section["sums"]] if "sums" in section else []
    return [section, *scales, *(one["codes"] for one in scales if "codes" in one), *sums]


def _is_known(array: Mapping[str, Any]) -> bool:
    return array["dtype"] in DTYPES and array.get("along", "rows") in ("rows", "columns")


def _read(data: bytes, section: Mapping[str, Any], shape: Sequence[int]) -> Stored:
    places = np.arange(math.prod(shape)).reshape(-1, shape[-1] if shape else 1)
    rows, columns = (
        _range_of(section, key, size)
        for key, size in zip(("rows", "columns"), places.shape, strict=True)
    )
    # from 1: zeros fill up, and have no place
    packed = pack(places[rows, columns] + 1, section.get("gates", 0))
    values, order = _array(data, section), section["order"]
    cut_off = None
    if order in BITS_OF:
        bits = BITS_OF[order]
        bytes_of_row = math.ceil(packed.shape[1] * bits / 8)
        if values.dtype != np.uint8 or values.shape != (len(packed), bytes_of_row):
            raise ValueError(f"its levels of {bits} bits are of another shape")
        levels = unpack_levels(values, packed.shape[1], bits).astype(np.int8)
        values, cut_off = levels - (2**bits - 1) / 2, cut_off_levels(levels, bits)
    elif order == "nibbles":
        if values.dtype != np.uint8 or values.ndim != 3 or 2 * values.shape[2] % NIBBLES:
            raise ValueError("its numbers of 4 bits are of another shape")
        values = unpack_nibbles(values)
    tile = 0
    if order in _TILES:
        rank, axis = _TILES[order]
        tile = values.shape[axis] if values.ndim == rank else 0
        if not tile or packed.shape[1] % tile:
            raise ValueError(f"its tiles have {tile} columns, its matrix {packed.shape[1]}")
    arranged = ORDERS[order](packed, tile) - 1
    if arranged.size != values.size:
        raise ValueError(f"it has {values.size} numbers, and {arranged.size} belong there")
    steps = None
    if values.dtype.kind != "f" or cut_off is not None:
        steps = ORDERS[order](_steps(data, section, packed.shape), tile).reshape(values.shape)
        summed = _summed(data, section, values) if "sums" in section else values
        values = summed * steps
    return Stored(section["weight"], values, steps, cut_off, arranged)


def _summed(data: bytes, section: Mapping[str, Any], fours: Array) -> Array:
    """Return the integers of a matrix, NaN in those columns whose sums are not theirs.

    Only some processors read the sums: a wrong one spoils the column there, and nowhere else.
    """
    if section["order"] not in ("fours", "nibbles"):
        raise ValueError(f"sums are of the order 'fours' or 'nibbles', not '{section['order']}'")
    tiles, count, tile, _ = fours.shape
    starts = np.arange(0, count, _SUMMED_FOURS)
    expected = np.add.reduceat(fours.sum(axis=3, dtype=np.int64), starts, axis=1)
    sums = _array(data, section["sums"])
    if sums.shape != (len(starts), tiles * tile):
        raise ValueError(f"its sums are {list(sums.shape)}, not {[len(starts), tiles * tile]}")
    is_own = (sums.reshape(-1, tiles, tile).swapaxes(0, 1) == expected).all(axis=1)
    return np.asarray(np.where(is_own[:, None, :, None], fours.astype(np.float64), np.nan))


def _range_of(section: Mapping[str, Any], key: str, size: int) -> slice:
    first, end = section.get(key, (0, size))
    if not 0 <= first < end <= size:
        raise ValueError(f"its weight has {size} {key}, not {first} to {end}")
    return slice(first, end)


def _steps(data: bytes, section: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    """Return the product of all scales of a packed matrix, float64 of its shape."""
    own = np.asarray(section.get("step", 1.0), np.float64)
    steps = np.broadcast_to(own[:, None] if own.ndim else own, shape)
    for one in section.get("scales", []):
        scales = _array(data, one).astype(np.float64).reshape(-1)
        if "codes" in one:
            codes = _array(data, one["codes"]).reshape(-1)
            if codes.dtype.kind != "u" or not codes.size or int(codes.max()) >= len(scales):
                raise ValueError("a row has no scale among those that are stored")
            scales = scales[codes]
        scales = scales[:, None] if one["along"] == "rows" else scales
        steps = steps * np.broadcast_to(scales, shape)
    return steps


def _array(data: bytes, place: Mapping[str, Any]) -> Array:
    """Return an array of the blob.

    Raises:
        ValueError: It ends behind the blob's end.
    """
    dtype, count = np.dtype(DTYPES[place["dtype"]]), math.prod(place["shape"])
    if place["offset"] + count * dtype.itemsize > len(data):
        raise ValueError("the weights end before all of them were read")
    return np.frombuffer(data, dtype, count, place["offset"]).reshape(place["shape"])
