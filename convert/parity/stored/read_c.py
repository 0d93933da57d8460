"""Reads the weights that the blob of a C model holds.

Not the blob's layout: the exporter is asked again where each weight lies, and the bytes are read
there. A file of another version is not looked into.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.c.blob import DTYPES, MAGIC, Blob, untiled, untiled_int8
from gatelet.convert.exporters.c.export import write_function
from gatelet.convert.exporters.c.writer import Writer
from gatelet.convert.parity.stored.file import PackedOtherwise, Stored, StoredFile, of_halves
from gatelet.convert.passes.pad_skip import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import BundleDamaged

__all__ = ["read_c"]

Array = NDArray[Any]
_LARGEST_SHIFT = 63


@dataclass(frozen=True)
class _Section:
    offset: int
    shape: tuple[int, ...]
    c_type: str


@dataclass(frozen=True)
class _Matrix:
    """Sections of a matrix or table: values alone, or with scales and sums, or codes and scales."""

    sections: tuple[_Section, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _Integers:
    """Sections of integers, and of the multipliers of their scales, if there are any.

    `step` times both is what they stand for.
    """

    sections: tuple[_Section, ...]
    step: float | Array


@dataclass
class _Layout(Writer):
    """Writes as the exporter does, and notes where each weight goes."""

    noted: list[_Section] = field(default_factory=list)
    matrices: list[_Matrix] = field(default_factory=list)
    tables: list[_Matrix] = field(default_factory=list)
    integer_sections: list[_Integers] = field(default_factory=list)

    def weights(self, array: Array, c_type: str = "float") -> str:
        stored = np.asarray(array, DTYPES[c_type])
        self.noted.append(_Section(self.blob.add(stored), stored.shape, c_type))
        return super().weights(array, c_type)

    def matrix(self, packed: Array, tile: int, **facts: Any) -> str:
        kept, self.noted = self.noted, []
        name = super().matrix(packed, tile, **facts)
        self.matrices.append(_Matrix(tuple(self.noted), packed.shape))
        self.noted = kept
        return name

    def table(self, table: Array) -> tuple[str, int]:
        kept, self.noted = self.noted, []
        made = super().table(table)
        self.tables.append(_Matrix(tuple(self.noted), table.shape))
        self.noted = kept
        return made

    def integer_weights(self, *given: Any, step: float | Array) -> tuple[str, str]:
        stored = super().integer_weights(*given, step=step)
        self.integer_sections.append(_Integers(tuple(self.noted[-2:]), step))
        return stored

    def integer_bias(self, values: Array, *, step: float) -> str:
        stored = super().integer_bias(values, step=step)
        self.integer_sections.append(_Integers(tuple(self.noted[-1:]), step))
        return stored


def read_c(file: StoredFile) -> list[Stored]:
    """Read the matrices, as packed, the embeddings and the vectors of a blob.

    Raises:
        PackedOtherwise: It is the blob of another version.
        BundleDamaged: It is no blob, or holds less than the model needs.
    """
    data = file.path.read_bytes()
    if data.startswith(MAGIC[:-1]) and not data.startswith(MAGIC):
        raise PackedOtherwise(file.path.name)
    if not data.startswith(MAGIC):
        raise BundleDamaged(f"'{file.path.name}' holds no weights of a C model")
    scheme = SCHEMES[file.scheme]
    if scheme.activations != "float32" and not file.observed:
        return []  # scales are folded into those of what was observed
    layout = _Layout(Blob(), scheme, file.observed)
    try:
        write_function(layout, skip_padding(file.graph, timesteps=file.timesteps))
    except (KeyError, ValueError) as error:
        raise BundleDamaged(
            f"the manifest has other ranges for '{file.path.name}' than its model has"
        ) from error
    if layout.integers:
        return [_read_integers(data, one) for one in layout.integer_sections]
    found = [_read_matrix(data, one) for one in layout.matrices]
    found += [_read_table(data, one) for one in layout.tables]
    return [*found, *(Stored("vector", _section(data, one)) for one in layout.noted)]


def _read_matrix(data: bytes, matrix: _Matrix) -> Stored:
    values, *others = (_section(data, one) for one in matrix.sections)
    if not others:
        return Stored("matrix", untiled(values))
    scales, _ = others
    steps = np.broadcast_to(scales.astype(np.float64), matrix.shape)
    return Stored("matrix", untiled_int8(values, matrix.shape[0]) * steps, steps)


def _read_integers(data: bytes, integers: _Integers) -> Stored:
    values, *multipliers = (_section(data, one) for one in integers.sections)
    steps = np.asarray(integers.step, np.float64)
    for one in multipliers:
        if one.ndim == 1:  # of rows, and behind them the shift
            if not 0 <= one[-1] < _LARGEST_SHIFT:
                raise BundleDamaged(f"a matrix of integers is shifted by {one[-1]} bits")
            steps = steps * np.ldexp(one[:-1, None].astype(np.float64), -int(one[-1]))
        else:
            steps = steps * one
    steps = np.broadcast_to(steps, values.shape)
    return Stored("integers", values * steps, steps)


def _read_table(data: bytes, table: _Matrix) -> Stored:
    values, *others = (_section(data, one) for one in table.sections)
    if not others:
        return Stored("table", values)
    codes, scales = others
    if values.dtype == np.int8:
        if int(codes.max()) >= len(scales):
            raise BundleDamaged("a row of an embedding has no scale among those that are stored")
        steps = np.broadcast_to(scales[codes].astype(np.float64)[:, None], values.shape)
        return Stored("table", values * steps, steps)
    return of_halves("table", values, codes[:, None] * np.float64(scales[0]), table.shape[1])


def _section(data: bytes, section: _Section) -> Array:
    dtype = np.dtype(DTYPES[section.c_type])
    count = int(np.prod(section.shape))
    if section.offset + count * dtype.itemsize > len(data):
        raise BundleDamaged("the weights of the C model end before all of them were read")
    return np.frombuffer(data, dtype, count, section.offset).reshape(section.shape)
