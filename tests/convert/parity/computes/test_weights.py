"""A file is believed where two numbers are as near; elsewhere the rule of the scheme holds."""

import numpy as np

from gatelet.convert.parity.computes.roundings import int8_by_column
from gatelet.convert.parity.computes.table import FLOAT, Form
from gatelet.convert.parity.computes.weights import Matrix, Part, _part

COLUMNS = slice(0, 12)
RNG = np.random.default_rng(3)


def _weight() -> np.ndarray:
    weight = RNG.integers(-127, 128, (100, 12)) * 0.5
    weight[0] = 63.5  # so that the scale is a half
    return np.asarray(weight, np.float32)


def test_a_number_between_two_of_the_file_is_taken_from_it() -> None:
    weight = _weight()
    weight[4, 4] = 10.25
    had = np.where(weight == 10.25, 10.5, weight).astype(np.float64)
    assert int8_by_column(weight)[4, 4] == 10.0
    found = _part(COLUMNS, weight, (Form(int8_by_column), FLOAT), had)
    assert found.values[4, 4] == 10.5


def test_a_scale_that_is_a_little_off_is_not_believed() -> None:
    weight = _weight()
    for factor in (1.0005, 1.02):
        found = _part(COLUMNS, weight, (Form(int8_by_column), FLOAT), weight * factor)
        assert np.array_equal(found.values, int8_by_column(weight))


def test_the_file_says_whether_a_small_weight_is_rounded() -> None:
    weight = RNG.normal(0, 1, (100, 12)).astype(np.float32)
    forms = (Form(int8_by_column), FLOAT)
    assert _part(COLUMNS, weight, forms, weight.astype(np.float64)).form is FLOAT
    assert _part(COLUMNS, weight, forms, None).form is forms[0]


def test_a_product_takes_the_columns_of_each_part() -> None:
    values = np.arange(24.0).reshape(2, 12)
    parts = (Part(slice(0, 8), values[:, :8], FLOAT), Part(slice(8, 12), values[:, 8:], FLOAT))
    x = np.array([[1.0, 2.0]])
    assert np.array_equal(x @ Matrix(parts), x @ values)
    assert np.array_equal(x @ Matrix(parts)[:, 4:10], x @ values[:, 4:10])
