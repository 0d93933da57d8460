"""What a caller may hand to a model, and what is refused before an engine sees it."""

import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gatelet.errors import InputError
from gatelet.runtime.graph.graph import GraphInput
from gatelet.runtime.predictor.inputs import LARGEST_FLOAT32, check_rows

IDS = GraphInput("ids", "int32", (None, None), 50)
FIXED_IDS = GraphInput("ids", "int32", (None, 3), 50)
FEATURES = GraphInput("features", "float32", (None, None, 2))
FLAT = GraphInput("features", "float32", (None, 2))


class Tensor:
    """Has what arrays of other libraries have: `__array__` and nothing else."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        if self.values is None:
            raise TypeError("it lies on another device")
        return np.asarray(self.values)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([[1, 2, 3]], IDS),
        ([[0, 49]], IDS),
        ([(1, 2), (3, 4)], IDS),
        (((1, 2), (3, 4)), IDS),
        ([range(5)], IDS),
        ([array.array("i", [1, 2])], IDS),
        ([np.array([1, 2])], IDS),
        ([np.array([1, 2], np.uint8), [np.int64(3), 4]], IDS),
        ([[1, 2, 3]], FIXED_IDS),
        ([], IDS),
        ([], FIXED_IDS),
        ([], FEATURES),
        ([[[1, 2], [3.5, -4]]], FEATURES),
        ([[[np.float32(1), np.float64(2)]]], FEATURES),
        ([np.zeros((4, 2))], FEATURES),
        ([[[LARGEST_FLOAT32, -LARGEST_FLOAT32]]], FEATURES),
        ([[1.0, 2.0]], FLAT),
    ],
    ids=range(17),
)
def test_takes_nested_lists(inputs: Any, expected: GraphInput) -> None:
    found = check_rows(inputs, expected)
    assert np.array_equal(found, inputs)
    assert all(isinstance(row, list | tuple) for row in found), "rows are counted and compared"


def test_takes_a_view_of_several_dimensions() -> None:
    view = memoryview(array.array("i", range(6))).cast("B").cast("i", (2, 3))
    assert check_rows(view, IDS) == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (np.array([[1, 49]], np.int32), IDS),
        (np.array([[1, 49]], np.int64), IDS),
        (np.array([[1, 49]], np.uint64), IDS),
        (np.array([[1, 49]], ">i4"), IDS),
        (np.array([[1, 9, 2, 9]])[:, ::2], IDS),
        (np.zeros((0, 4), np.int32), IDS),
        (np.zeros((0, 3), np.int32), FIXED_IDS),
        (np.zeros((2, 3, 2), np.float16), FEATURES),
        (np.full((2, 3, 2), LARGEST_FLOAT32), FEATURES),
        (np.ones((2, 3, 2), np.int8), FEATURES),
    ],
    ids=range(10),
)
def test_takes_arrays(inputs: Any, expected: GraphInput) -> None:
    assert check_rows(inputs, expected) is inputs


def test_takes_arrays_of_other_libraries() -> None:
    found = check_rows(Tensor([[1, 2]]), IDS)
    assert isinstance(found, np.ndarray)
    with pytest.raises(InputError, match="cannot be read as an array: it lies on another device"):
        check_rows(Tensor(None), IDS)


@pytest.mark.parametrize("as_array", [False, True], ids=["list", "array"])
@pytest.mark.parametrize(
    ("rows", "bad"),
    [([[0, 50]], 50), ([[1, 2], [3, -1]], -1), ([[2**31]], 2**31), ([[-(2**63)]], -(2**63))],
)
def test_refuses_ids_outside_the_vocabulary(
    rows: list[list[int]], bad: int, as_array: bool
) -> None:
    inputs = np.array(rows, np.int64) if as_array else rows
    with pytest.raises(InputError, match=f"the id {bad} is outside .* 0..49: use the") as caught:
        check_rows(inputs, IDS)
    assert caught.value.facts == {"id": bad, "vocabulary": 50}


def test_without_a_vocabulary_ids_are_still_those_of_int32() -> None:
    unlimited = GraphInput("ids", "int32", (None, None))
    assert check_rows([[2**31 - 1]], unlimited)
    with pytest.raises(InputError, match="the id 2147483648 is outside"):
        check_rows([[2**31]], unlimited)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([[1.0, 2.0]], "'ids' holds 1.0, expected whole numbers"),
        ([[1, None]], "'ids' holds None, expected whole numbers"),
        ([[True, False]], "'ids' holds True, expected whole numbers"),
        ([[1, True]], "'ids' holds True, expected whole numbers"),
        ([[np.True_]], "expected whole numbers"),
        ([["1", "2"]], "'ids' holds '1', expected whole numbers"),
        ([[[1, 2]]], r"'ids' holds \[1, 2\], expected whole numbers"),
        ([b"ab"], "'ids' holds b'ab', expected nested lists"),
        ([bytearray(b"ab")], "expected nested lists"),
        ([[1, 2], "ab"], "'ids' holds 'ab', expected nested lists"),
        ([1, 2], r"'ids' holds 1, expected nested lists, int32 \[B, T\]"),
        ([{1, 2}], "expected nested lists"),
        ([{1: 2}], "expected nested lists"),
        ([np.array(3)], "expected nested lists"),
        (None, r"the input is None: expected an array or a list, 'ids' int32 \[B, T\], or a list"),
        ((text for text in "ab"), "the input is <generator .*: expected an array or a list, 'ids'"),
        ({"a text"}, "the input is {'a text'}: expected an array or a list"),
        (np.array(["a text"]), r"type <U6, expected whole numbers; texts come in a list: .tolist"),
        (5, "the input is 5: expected an array or a list"),
        ({"ids": [[1]]}, "the input is {'ids': .*: expected an array or a list"),
        ((row for row in [[1]]), "expected an array or a list"),
        ([[1, 2], [3]], "the rows of 'ids' have the lengths 1, 2, expected one length: pad them"),
        ([[]], r"has the shape \[1, 0\], expected int32 \[B, T\]"),
        ([[], []], r"has the shape \[2, 0\], expected int32 \[B, T\]"),
        (np.array([[1.0]]), "'ids' has the type float64, expected whole numbers"),
        (np.array([[True]]), "'ids' has the type bool, expected whole numbers"),
        (np.array([["a"]]), "'ids' has the type <U1, expected whole numbers"),
        (np.array([[None]]), "'ids' has the type object, expected whole numbers"),
        (np.array([1, 2]), r"has the shape \[2\], expected int32 \[B, T\]"),
        (np.array(1), r"has the shape \[\], expected int32 \[B, T\]"),
        (np.zeros((1, 2, 3), int), r"has the shape \[1, 2, 3\], expected int32 \[B, T\]"),
        (np.zeros((1, 0), int), r"has the shape \[1, 0\], expected int32 \[B, T\]"),
    ],
    ids=range(32),
)
def test_refuses_what_are_no_ids(inputs: Any, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        check_rows(inputs, IDS)


@pytest.mark.parametrize("make", [list, np.array], ids=["list", "array"])
def test_refuses_another_length_where_the_model_fixes_it(make: Callable[[Any], Any]) -> None:
    with pytest.raises(InputError, match=r"has the shape \[1, 4\], expected int32 \[B, 3\]"):
        check_rows(make([[1, 2, 3, 4]]), FIXED_IDS)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e39, -1e300])
@pytest.mark.parametrize("as_array", [False, True], ids=["list", "array"])
def test_refuses_features_that_are_not_finite_in_float32(bad: float, as_array: bool) -> None:
    rows = [[[1.0, 2.0], [bad, 3.0]]]
    with pytest.raises(InputError, match="features must be finite numbers of float32"):
        check_rows(np.array(rows) if as_array else rows, FEATURES)


def test_refuses_an_infinity_of_a_small_type_without_a_warning() -> None:
    with pytest.raises(InputError, match="must be finite"):
        check_rows(np.array([[[60000, 60000], [np.inf, 0]]], np.float16), FEATURES)
    assert check_rows(np.full((1, 9, 2), 60000, np.float16), FEATURES) is not None


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([[["1.5", 2]]], "'features' holds '1.5', expected numbers"),
        ([[[True, 2]]], "'features' holds True, expected numbers"),
        ([[[None, 2]]], "'features' holds None, expected numbers"),
        ([[[1j, 2]]], "'features' holds 1j, expected numbers"),
        ([[[10**400, 2]]], "must be finite numbers of float32"),
        ([[[1, 2], [3]]], "have the lengths 1, 2, expected one length"),
        ([[[1, 2]], [[1, 2], [3, 4]]], "have the lengths 1, 2, expected one length"),
        ([[[1, 2, 3]]], r"has the shape \[1, 1, 3\], expected float32 \[B, T, 2\]"),
        ([[1, 2]], r"'features' holds 1, expected nested lists, float32 \[B, T, 2\]"),
        ([[[]]], r"has the shape \[1, 1, 0\]"),
        (np.zeros((1, 2, 3)), r"has the shape \[1, 2, 3\], expected float32 \[B, T, 2\]"),
        (np.zeros((1, 2, 2), bool), "has the type bool, expected numbers"),
        (np.zeros((1, 2, 2), complex), "has the type complex128, expected numbers"),
        (np.zeros((1, 2, 2), "M8[s]"), r"has the type datetime64\[s\], expected numbers"),
    ],
    ids=range(14),
)
def test_refuses_what_are_no_features(inputs: Any, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        check_rows(inputs, FEATURES)
