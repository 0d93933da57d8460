"""Checks what a caller hands to a model, before any engine sees it.

Not conversion of texts: that is `gatelet.runtime.vectorizer.tokenizer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from reprlib import repr as show

from gatelet.errors import InputError
from gatelet.runtime.graph.graph import Graph, GraphInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gatelet.runtime.vectorizer.opening import AnyVectorizer

LARGEST_FLOAT32 = (2 - 2**-23) * 2.0**127


def are_texts(inputs: Any) -> bool:
    """Distinguish texts from ids and features; a list that begins with a text must go on so."""
    if isinstance(inputs, str | bytes):
        raise InputError("expected a list of texts, got a single text: put it in a list")
    if not isinstance(inputs, Sequence) or not inputs or not isinstance(inputs[0], str):
        return False
    for item in inputs:
        if not isinstance(item, str):
            raise InputError(f"a text is {show(item)}: expected a str")
    return True


def is_known_good(vectorizer: AnyVectorizer | None, graph: Graph) -> bool:
    """Return whether whatever a vectorizer gives is an input of the Graph, so needs no check."""
    one = graph.inputs[0]
    return (
        vectorizer is not None
        and len(graph.inputs) == 1
        and one.dtype == "int32"
        and vectorizer.vocabulary_size <= (one.vocabulary or 2**31)
        and len(one.shape) == 2
        and one.shape[1] in (None, vectorizer.maxlen)
    )


def by_input(inputs: Any, taken: Sequence[GraphInput], *, name: str) -> dict[str, Any]:
    """Report which of a model's several inputs is which.

    Args:
        inputs: A dict by the inputs' names, or a list in the model's order.
        taken: What the model takes.
        name: The bundle's, for messages.

    Raises:
        InputError: They are not those of the model.
    """
    names = [one.name for one in taken]
    if isinstance(inputs, Mapping):
        if set(inputs) != set(names):
            raise InputError(
                f"bundle '{name}' takes the inputs {', '.join(names)}, got "
                f"{', '.join(map(str, inputs)) or 'none'}"
            )
        return {one: inputs[one] for one in names}
    if isinstance(inputs, list | tuple) and len(inputs) == len(names):
        return dict(zip(names, inputs, strict=True))
    raise InputError(
        f"bundle '{name}' takes {len(names)} inputs: give a dict with "
        f"{', '.join(names)}, or a list of {len(names)} in this order"
    )


def check_counts(rows: Mapping[str, Any]) -> None:
    """Refuse inputs that have different numbers of rows.

    Raises:
        InputError: They have.
    """
    counts = {name: len(one) for name, one in rows.items()}
    if len(set(counts.values())) > 1:
        written = ", ".join(f"'{name}' has {count}" for name, count in counts.items())
        raise InputError(f"the inputs have different numbers of rows: {written}")


def zero_row(taken: GraphInput) -> list[Any]:
    """Return one row of zeros [1, ...], of one timestep where the model takes any number."""
    row: Any = 0 if taken.dtype == "int32" else 0.0
    for size in reversed(taken.shape[1:]):
        row = [row] * (size or 1)
    return [row]


def check_rows(inputs: Any, expected: GraphInput) -> Any:
    """Check ids or features.

    Args:
        inputs: ids [B, T] or features [B, T, F], as an array or nested lists.
        expected: What the model takes.

    Returns:
        The same as a NumPy array or nested lists, to be handed to a backend.

    Raises:
        InputError: A wrong type or shape, an id outside 0..V-1, a feature that float32 does not
            hold as a finite number.
    """
    if hasattr(inputs, "__array__"):
        return _check_array(inputs, expected)
    if isinstance(inputs, memoryview):  # of several dimensions it is no sequence, only called so
        inputs = inputs.tolist()
    shape, values = _flatten(inputs, expected)
    _check_shape(shape, expected)
    _check_types(values, expected)
    if values:
        # NaN is neither smallest nor largest, so all features are looked at
        is_ids = expected.dtype == "int32"
        _check_range((min(values), max(values)) if is_ids else values, expected)
    plain = all(isinstance(row, list | tuple) for row in inputs)
    return inputs if plain else [list(row) for row in inputs]


def _check_types(values: list[Any], expected: GraphInput) -> None:
    from numbers import Integral, Real  # only here: it takes its time to load

    wanted = Integral if expected.dtype == "int32" else Real
    for found in set(map(type, values)):
        if not issubclass(found, wanted) or issubclass(found, bool):
            bad = next(value for value in values if type(value) is found)
            raise InputError(f"'{expected.name}' holds {show(bad)}, expected {_kind(expected)}")


def _check_array(inputs: Any, expected: GraphInput) -> Any:
    import numpy as np

    try:
        array = np.asarray(inputs)
    except (TypeError, ValueError, RuntimeError) as error:  # such as a tensor on another device
        raise InputError(f"'{expected.name}' cannot be read as an array: {error}") from error
    if array.dtype.kind not in ("iu" if expected.dtype == "int32" else "fiu"):
        texts = "; texts come in a list: .tolist()" if array.dtype.kind in "UTO" else ""
        raise InputError(
            f"'{expected.name}' has the type {array.dtype}, expected {_kind(expected)}{texts}"
        )
    _check_shape(array.shape, expected)
    if array.size:
        _check_range((array.min().item(), array.max().item()), expected)
    return array


def _check_shape(shape: tuple[int, ...], expected: GraphInput) -> None:
    """Compare with what the model takes; no rows at all are allowed, no timesteps are not."""
    fits = shape == (0,) or (
        len(shape) == len(expected.shape)
        and all(
            found == wanted if wanted is not None else found > 0
            for found, wanted in zip(shape[1:], expected.shape[1:], strict=True)
        )
    )
    if not fits:
        raise InputError(
            f"'{expected.name}' has the shape {list(shape)}, expected {_written(expected)}",
            found=shape,
            expected=expected.shape,
        )


def _check_range(values: Sequence[Any], expected: GraphInput) -> None:
    """Check numbers: all of them, or the smallest and the largest."""
    if expected.dtype == "int32":
        last = (expected.vocabulary or 2**31) - 1
        bad = next((value for value in values if not 0 <= value <= last), None)
        if bad is not None:
            raise InputError(
                f"the id {show(bad)} is outside the model's vocabulary 0..{last}: "
                "use the vectorizer that belongs to the model",
                id=bad,
                vocabulary=expected.vocabulary,
            )
        return
    bad = next((value for value in values if not abs(value) <= LARGEST_FLOAT32), None)
    if bad is not None:
        raise InputError(
            f"'{expected.name}' holds {show(bad)}: features must be finite numbers of float32"
        )


def _flatten(inputs: Any, expected: GraphInput) -> tuple[tuple[int, ...], list[Any]]:
    """Return the shape of nested lists, all rows of the same length, and the values in them."""
    shape: tuple[int, ...] = ()
    level = [inputs]
    if not _is_list(inputs):
        texts = ", or a list of texts" if expected.dtype == "int32" else ""
        raise InputError(
            f"the input is {show(inputs)}: expected an array or a list, '{expected.name}' "
            f"{_written(expected)}{texts}"
        )
    for _ in expected.shape:
        for one in level:
            if not _is_list(one):
                raise InputError(
                    f"'{expected.name}' holds {show(one)}, expected nested lists, "
                    f"{_written(expected)}"
                )
        lengths = sorted({len(one) for one in level})
        if len(lengths) > 1:
            raise InputError(
                f"the rows of '{expected.name}' have the lengths "
                f"{', '.join(map(str, lengths[:5]))}, expected one length: pad them"
            )
        shape = (*shape, *lengths)
        level = [item for one in level for item in one]
        if not level:
            break
    return shape, level


def _is_list(value: Any) -> bool:
    if isinstance(value, str | bytes | bytearray):
        return False
    return isinstance(value, Sequence) or getattr(value, "ndim", 0) > 0


def _kind(expected: GraphInput) -> str:
    return "whole numbers" if expected.dtype == "int32" else "numbers"


def _written(expected: GraphInput) -> str:
    sizes = (
        str(size) if size is not None else letter
        for letter, size in zip("BTFGHIJK", expected.shape, strict=False)
    )
    return f"{expected.dtype} [{', '.join(sizes)}]"
