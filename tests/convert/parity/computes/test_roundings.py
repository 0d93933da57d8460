"""The oracle's own roundings: what exporters store, and what engines make of activations."""

import numpy as np
import pytest

from gatelet.convert.exporters.c.blob import lines_of
from gatelet.convert.exporters.quantize import (
    coded_rows,
    quantize_int4,
    quantize_int8,
    quantize_levels,
    to_integers,
)
from gatelet.convert.layouts import INT4_MIDDLE
from gatelet.convert.parity.computes import roundings

RNG = np.random.default_rng(7)
KERNEL = RNG.normal(0, 1, (40, 30)).astype(np.float32)
TABLE = (RNG.normal(0, 1, (500, 8)) * RNG.uniform(0.1, 3, (500, 1))).astype(np.float32)


@pytest.mark.parametrize(
    ("limit", "rounded"),
    [
        (127, roundings.int8_by_column),
        (64, roundings.int7_by_column),
        (7, roundings.int4_by_column),
    ],
)
def test_kernels_are_rounded_as_exporters_do(limit: int, rounded: roundings.Rounding) -> None:
    values, scales = quantize_int8(KERNEL, axis=1, limit=limit)
    assert np.array_equal(rounded(KERNEL), values.astype(np.float64) * scales)


def test_tables_are_rounded_as_exporters_do() -> None:
    values, codes, codebook = coded_rows(TABLE)
    assert np.allclose(
        roundings.int8_by_code(TABLE), values * codebook[codes][:, None], rtol=1e-7, atol=0
    )
    levels, multiples, unit = quantize_int4(TABLE)
    assert np.array_equal(roundings.int4_by_row(TABLE), (levels - INT4_MIDDLE) * (multiples * unit))


@pytest.mark.parametrize(("bits", "rounded"), [(1, "int1_by_row"), (2, "int2_by_row")])
@pytest.mark.parametrize("size", [1.0, 1e-30])
def test_tables_of_few_bits_are_rounded_as_exporters_do(
    bits: int, rounded: str, size: float
) -> None:
    table = (TABLE * np.float32(size)).astype(np.float32)
    levels, multiples, unit = quantize_levels(table, bits)
    middle = (2**bits - 1) / 2
    found = getattr(roundings, rounded)(table)
    assert np.array_equal(found, (levels - middle) * (multiples * np.float64(unit)))
    assert np.isfinite(getattr(roundings, rounded)(np.zeros((3, 4)))).all()


def test_states_go_to_the_nearest_number() -> None:
    integers, unit = to_integers(TABLE, np.int16, rounded=np.rint)
    found = roundings.int16_by_unit(TABLE)
    assert np.array_equal(found, integers * np.float64(unit))
    assert np.abs(found - TABLE).max() <= unit / 2 * 1.001


def test_states_as_lines_are_those_of_c() -> None:
    table = np.cumsum(RNG.normal(0, 1, (40, 6)) / np.arange(1, 41)[:, None] ** 2, axis=0)
    kept = lines_of(table)
    found = roundings.lines(table)
    assert np.allclose(found[kept.knots], kept.values * np.float64(kept.unit))
    assert len(kept.knots) < len(table)


@pytest.mark.parametrize(
    ("rounded", "levels"),
    [
        (roundings.uint8_of_a_call, 256),
        (roundings.int8_of_a_row_xnnpack, 256),
        (roundings.int8_of_a_row_builtin, 256),
        (roundings.int14_of_a_row, 2 * 16383 + 1),
        (roundings.int8_codes_of_a_row, 255),
    ],
)
def test_activations_have_so_many_levels_and_are_off_by_half_a_step(
    rounded: roundings.Rounding, levels: int
) -> None:
    x = np.linspace(-1.7, 2.3, 70_000)[None]
    found = rounded(x)
    assert levels // 2 < len(np.unique(found)) <= levels
    step = 4.6 / (levels - 1)
    assert np.abs(found - x).max() <= step
    assert not rounded(np.zeros((2, 5))).any()


def test_a_row_has_a_scale_of_its_own_and_a_call_has_one() -> None:
    x = np.stack([np.linspace(-1, 1, 9), np.linspace(-1, 1, 9) * 1e-3])
    assert np.abs(roundings.int8_of_a_row_xnnpack(x) - x)[1].max() < 1e-5
    assert np.abs(roundings.uint8_of_a_call(x) - x)[1].max() > 5e-4
