"""What 8 and 4 bits keep of weights."""

import numpy as np
import pytest

from gatelet.convert.exporters.quantize import quantize_int4, to_integers
from gatelet.convert.layouts import (
    INT4_MIDDLE,
    pack_int4,
    pack_levels,
    pack_nibbles,
    unpack_levels,
    unpack_nibbles,
)

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def numbers_of_its_own() -> None:
    """Let each test draw the same numbers, whichever tests run before it."""
    RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state


def restored(table: np.ndarray) -> np.ndarray:
    levels, multiples, unit = quantize_int4(table)
    assert levels.max() <= 15
    assert multiples.min() >= 1
    return np.asarray((levels - INT4_MIDDLE) * (multiples * unit))


def test_four_bits_are_nearer_than_a_plain_scale_of_the_largest_value() -> None:
    table = RNG.standard_t(4, (200, 64))
    plain = np.abs(table).max(axis=1, keepdims=True) / 7
    rounded = np.clip(np.rint(table / plain), -7, 7) * plain
    ours = np.square(restored(table) - table).mean()
    assert ours < 0.85 * np.square(rounded - table).mean()


def test_rows_of_any_size_keep_their_own_scale() -> None:
    table = RNG.normal(size=(40, 32)) * np.geomspace(0.05, 1, 40)[:, None]
    errors = np.sqrt(np.square(restored(table) - table).mean(axis=1))
    assert (errors <= 0.25 * table.std(axis=1)).all()


@pytest.mark.parametrize("table", [np.zeros((3, 4)), np.full((2, 3), 1e-30), np.zeros((1, 1))])
def test_nothing_but_tiny_values_stays_tiny(table: np.ndarray) -> None:
    assert np.isfinite(restored(table)).all()
    assert np.abs(restored(table)[:, 0]).max() <= max(1, 2 * np.abs(table).max()) / 15


@pytest.mark.parametrize("columns", [1, 2, 7, 64])
def test_packed_bytes_hold_every_level(columns: int) -> None:
    levels = RNG.integers(0, 16, (9, columns)).astype(np.uint8)
    packed = pack_int4(levels)
    assert packed.shape == (9, (columns + 1) // 2)
    unpacked = np.concatenate([packed & 15, packed >> 4], axis=1)[:, :columns]
    assert np.array_equal(unpacked, levels)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("columns", [1, 5, 8, 64])
def test_bytes_hold_levels_of_few_bits(columns: int, bits: int) -> None:
    levels = RNG.integers(0, 2**bits, (9, columns)).astype(np.uint8)
    packed = pack_levels(levels, bits)
    apart = -(-columns // (8 // bits))
    assert packed.shape == (9, apart)
    assert np.array_equal(unpack_levels(packed, columns, bits), levels)
    second = levels[:, apart : 2 * apart]
    assert np.array_equal(packed[:, : second.shape[1]] >> bits & (2**bits - 1), second)


def test_bytes_hold_numbers_of_4_bits() -> None:
    fours = RNG.integers(-7, 8, (3, 5, 48, 4))
    packed = pack_nibbles(fours)
    assert packed.shape == (3, 5, 96) and packed.dtype == np.uint8
    assert np.array_equal(unpack_nibbles(packed), fours)
    flat = fours.reshape(-1)
    assert packed.reshape(-1)[3] == (flat[3] + 8) | (flat[35] + 8) << 4


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_integers_times_their_unit_never_fall_below_positive_values(
    dtype: type[np.integer],
) -> None:
    values = np.abs(RNG.normal(size=500))
    integers, unit = to_integers(values, dtype)
    assert (integers * np.float64(unit) >= values * (1 - 1e-6)).all()
    assert (integers * np.float64(unit) - values <= unit * 1.001).all()
