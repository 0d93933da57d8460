"""Weights of few bits: what is rounded once is rounded to itself, and errs as little as it can."""

from collections.abc import Iterator

import numpy as np
import pytest

from gatelet.convert.exporters.quantize import quantize_int8
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.bundle.storage import BYTES_OF
from gatelet.runtime.data.rounding import (
    ROUNDED,
    coded_rows,
    largest_of,
    middle_of,
    of_levels,
    quantize,
    quantize_int4,
    quantize_levels,
    rounded_kernel,
    rounded_rows,
    settled_kernel,
    settled_table,
)

SHAPES = ((300, 64), (700, 7), (50, 1), (20, 33))


def tables() -> Iterator[np.ndarray]:
    """Return tables of every kind of row that a trained one may have."""
    for seed, shape in enumerate(SHAPES):
        rng = np.random.default_rng(seed)
        normal = rng.normal(size=shape)
        for made in (
            normal,
            normal * np.exp(2 * rng.normal(size=(shape[0], 1))),  # of unlike sizes
            rng.standard_t(2, shape),  # with numbers far off
            rng.uniform(-0.05, 0.05, shape),  # as Keras begins
            normal * (rng.uniform(size=(shape[0], 1)) < 0.5),  # rows of nothing
            normal * 1e-30,
            normal * 1e20,
        ):
            yield made.astype(np.float32)


def test_the_schemes_that_training_rounds_have_the_types_of_their_rows() -> None:
    for name, bits in ROUNDED.items():
        assert 8 * BYTES_OF[SCHEMES[name].embedding_type] == bits.embeddings
        assert 8 * BYTES_OF[SCHEMES[name].weights] == bits.kernels
        assert SCHEMES[name].activations == "float32" and not SCHEMES[name].recurrent


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_levels_that_stand_for_a_table_are_made_of_it_again(bits: int) -> None:
    for table in tables():
        levels, multiples, unit = quantize_levels(table, bits)
        stands_for = of_levels(levels, multiples, unit, bits)
        assert stands_for.dtype == np.float32 and np.isfinite(stands_for).all()
        again = quantize_levels(stands_for, bits)
        assert np.array_equal(levels, again[0]) and np.array_equal(multiples, again[1])
        assert unit == again[2]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_settled_table_is_what_files_make_of_it(bits: int) -> None:
    for table in tables():
        settled = settled_table(table, bits)
        assert np.array_equal(settled_table(settled, bits), settled)
        if bits == 8:
            values, codes, book = coded_rows(settled)
            exact = values.astype(np.float64) * book[codes][:, None].astype(np.float64)
            assert np.array_equal(exact, settled.astype(np.float64))  # no product is rounded
        else:
            found = quantize_int4(settled) if bits == 4 else quantize_levels(settled, bits)
            assert np.array_equal(of_levels(*found, bits), settled)
            assert found[0].max() < 2**bits


@pytest.mark.parametrize("bits", [4, 8])
def test_a_settled_kernel_is_what_files_make_of_it(bits: int) -> None:
    for kernel in (*tables(), np.random.default_rng(4).normal(size=(3, 8, 16))):
        settled = settled_kernel(kernel, bits)
        assert np.array_equal(settled_kernel(settled, bits), settled)
        assert np.array_equal(rounded_kernel(settled, bits), settled)
        values, scales = quantize(settled, axis=-1, limit=largest_of(bits))
        exact = values.astype(np.float64) * scales.astype(np.float64)
        assert np.array_equal(exact, settled.astype(np.float64))  # no product is rounded
        if bits == 8:
            eight, by_column = quantize_int8(settled, axis=-1)
            assert np.array_equal((eight * by_column).astype(np.float32), settled)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_settled_weights_err_hardly_more_than_a_scale_of_each_row_that_is_searched_for(
    bits: int,
) -> None:
    table, middle = (
        np.random.default_rng(5).normal(size=(400, 64)).astype(np.float32),
        middle_of(bits),
    )
    best = np.full((400, 1), np.inf)
    for scale in np.linspace(0.02, 3, 300):
        levels = np.clip(np.rint(table / scale + middle), 0, 2 * middle)
        error = np.square((levels - middle) * scale - table).sum(axis=1, keepdims=True)
        best = np.minimum(best, error)
    error = np.square(settled_table(table, bits) - table).sum()
    assert best.sum() * 0.999 < error < best.sum() * 1.02


def test_rows_are_rounded_alone_as_in_their_table_but_for_the_byte_of_the_scale() -> None:
    table = np.random.default_rng(6).normal(size=(400, 64)).astype(np.float32)
    for bits in (1, 2, 4, 8):
        rows = rounded_rows(table[7:30], bits)
        assert np.array_equal(rows, rounded_rows(table, bits)[7:30])
        assert np.abs(rows - settled_table(table, bits)[7:30]).mean() < 0.03
    signs = rounded_rows(table, 1)
    expected = np.sign(table) * np.abs(table).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(signs, expected, rtol=1e-6)
