"""The classes and functions that a pickle may name, and the data that each one stands for.

Not the opcodes: those are in `pickles.py`. Nothing is imported by name, and nothing is called but
what stands here.

Source: what Keras, scikit-learn, NumPy and joblib write, in `__reduce__` of each class.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

TOKENIZER = "Tokenizer"
JOBLIB_ARRAY = "NumpyArrayWrapper"

_KERAS = ("keras", "keras.src", "keras.src.legacy", "tensorflow.python.keras", "tf_keras")
_KERAS_ROOTS = (*_KERAS, "tf_keras.src", "tensorflow.keras", "keras.api", "keras.api._v2.keras")
_LABELS = ("label", "_label")
_SCALERS = ("StandardScaler", "MinMaxScaler")

CLASSES: Mapping[str, str] = {
    **{f"{root}.preprocessing.text.{TOKENIZER}": TOKENIZER for root in _KERAS_ROOTS},
    f"keras_preprocessing.text.{TOKENIZER}": TOKENIZER,
    **{f"sklearn.preprocessing.{room}.{n}": n for room in ("data", "_data") for n in _SCALERS},
    **{
        f"sklearn.preprocessing.{room}.LabelEncoder": "LabelEncoder" for room in ("label", "_label")
    },
    f"joblib.numpy_pickle.{JOBLIB_ARRAY}": JOBLIB_ARRAY,
    f"sklearn.externals.joblib.numpy_pickle.{JOBLIB_ARRAY}": JOBLIB_ARRAY,
}
"""Where each class of which the attributes are read has lived, and what it is called here."""

_BUILTIN = (
    *("dict", "list", "tuple", "set", "frozenset", "object"),
    *("int", "long", "float", "str", "unicode", "bytes", "bool"),
)
_CONTAINERS = {
    "collections.OrderedDict": "OrderedDict",
    "collections.defaultdict": "defaultdict",
    **{f"{m}.{name}": name for m in ("builtins", "__builtin__") for name in _BUILTIN},
}
_FUNCTIONS = {
    "copy_reg._reconstructor": "object of",
    "copyreg._reconstructor": "object of",
    "_codecs.encode": "encode",
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    **{
        f"numpy.{core}.{module}.{name}": what
        for core in ("core", "_core")
        for module, name, what in (
            ("multiarray", "_reconstruct", "array"),
            ("multiarray", "scalar", "scalar"),
            ("numeric", "_frombuffer", "buffer"),
        )
    },
}
_KINDS = "biufSU"  # of NumPy: bool, integers, floats, bytes and text


@dataclass(frozen=True)
class Known:
    """A name that a pickle may call: `what` is what it stands for, `name` as the file has it."""

    what: str
    name: str


@dataclass(eq=False)
class PickledObject:
    """An object of one of CLASSES: its attributes, as data.

    Args:
        name: What the class is called here.
        state: Its attributes, as the pickle holds them.
    """

    name: str
    state: dict[str, Any] = field(default_factory=dict)
    depth: int = 1


@dataclass(eq=False)
class PickledType:
    """A NumPy dtype that is perhaps not complete yet."""

    dtype: np.dtype[Any]


@dataclass(eq=False)
class PickledArray:
    """A NumPy array; its values arrive after it was made."""

    values: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Layout:
    """How the bytes of an array of joblib's lie: `aligned` if padding stands before them."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    by_column: bool
    aligned: bool = False

    @property
    def nbytes(self) -> int:
        """How many bytes its values take."""
        return math.prod(self.shape) * self.dtype.itemsize


def find_known(name: str) -> Known:
    """Look a name of a pickle up.

    Raises:
        ValueError: It is of a class or function that is not read.
    """
    for table in (CLASSES, _CONTAINERS, _FUNCTIONS):
        if name in table:
            return Known(table[name], name)
    raise ValueError(
        f"it holds {name!r}, which is not one of the classes that are read as data: "
        "Keras' Tokenizer, scikit-learn's StandardScaler, MinMaxScaler and LabelEncoder, "
        "NumPy arrays, and containers"
    )


def call_known(called: Known, arguments: list[Any]) -> Any:
    """Return the data that a call stands for.

    Args:
        called: What the pickle calls.
        arguments: With what.

    Returns:
        A dict or list of what a container holds, or the object.

    Raises:
        ValueError: The arguments are none that this class or function is pickled with.
    """
    match called.what, arguments:
        case "object of", [Known(what="list" | "tuple" | "set"), _, items]:
            return list(items)
        case "object of", [Known() as kind, *_] if called.name in CLASSES or kind.name in CLASSES:
            return PickledObject(CLASSES[kind.name])
        case (("OrderedDict" | "dict"), ([] | [dict() | list()])):
            return dict(arguments[0]) if arguments else {}
        case "defaultdict", ([] | [Known() | None]):
            return {}
        case (("list" | "tuple" | "set" | "frozenset"), ([] | [list()])):
            return list(arguments[0]) if arguments else []
        case "bytes", []:
            return b""
        case "encode", [str() as text, "latin1" | "latin-1"]:
            return text.encode("latin-1")
        case "dtype", [str() as code, *_]:
            return PickledType(_dtype(code))
        case (("array" | "ndarray"), _):
            return PickledArray(np.empty(0))
        case "scalar", [PickledType() as kind, bytes() | str() as data]:
            return array_of_bytes(_bytes(data), Layout(kind.dtype, (), False)).values[()].item()
        case "buffer", [bytes() | str() as data, PickledType() as kind, shape, order]:
            layout = Layout(kind.dtype, _shape(shape), order == "F")
            return array_of_bytes(_bytes(data), layout)
    if called.name in CLASSES and not arguments:
        return PickledObject(called.what)
    raise ValueError(f"it calls {called.name!r} with what is no plain data")


def set_array_state(built: Any, state: Any) -> None:
    """Complete an array or a dtype.

    Args:
        built: The PickledArray or PickledType.
        state: What its `__reduce__` gives as state.

    Raises:
        ValueError: It is no such object or no such state.
    """
    match built, state:
        case PickledType(), [int(), "<" | ">" | "|" | "=" as order, None, None, None, *_]:
            built.dtype = built.dtype.newbyteorder(order)
        case PickledArray(), [int(), shape, PickledType() as kind, by_column, list() as values]:
            if not kind.dtype.hasobject:
                raise ValueError("it holds an array of numbers as objects")
            if len(values) != math.prod(_shape(shape)):
                raise ValueError("it holds an array of another length than its shape")
            made = np.empty(len(values), object)
            made[:] = values
            built.values = made.reshape(_shape(shape), order="F" if by_column else "C")
        case PickledArray(), [
            int(),
            shape,
            PickledType() as kind,
            by_column,
            bytes() | str() as data,
        ]:
            layout = Layout(kind.dtype, _shape(shape), bool(by_column))
            built.values = array_of_bytes(_bytes(data), layout).values
        case _:
            raise ValueError("it sets the state of what has none that is plain data")


def joblib_layout(wrapper: PickledObject) -> Layout:
    """Return how the array lies that joblib wrote behind this description.

    Raises:
        ValueError: It is no description of an array of plain values.
    """
    state = wrapper.state
    kind = state.get("dtype")
    if not isinstance(kind, PickledType):
        raise ValueError("an array of joblib has no dtype")
    aligned = state.get("numpy_array_alignment_bytes") is not None
    return Layout(kind.dtype, _shape(state.get("shape")), state.get("order") == "F", aligned)


def array_of_bytes(data: bytes, layout: Layout) -> PickledArray:
    """Return the array that these bytes are.

    Raises:
        ValueError: They are of another length, or no plain values.
    """
    if layout.dtype.hasobject or layout.nbytes != len(data):
        raise ValueError(
            f"an array of shape {layout.shape} and type {layout.dtype} has {len(data):,} bytes"
        )
    values = np.frombuffer(data, layout.dtype) if data else np.empty(0, layout.dtype)
    return PickledArray(values.reshape(layout.shape, order="F" if layout.by_column else "C"))


def _dtype(code: str) -> np.dtype[Any]:
    kind, digits = code[:1], code[1:]
    if code.lstrip("<>|=") in ("O", "O8", "O4"):
        return np.dtype(object)
    if kind not in _KINDS or (digits and not digits.isdecimal()) or len(digits) > 6:
        raise ValueError(f"it holds an array of the type {code!r}, which is none of plain values")
    try:
        return np.dtype(code)
    except TypeError as error:
        raise ValueError(f"it holds an array of the unknown type {code!r}") from error


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or any(type(n) is not int or not 0 <= n < 2**40 for n in shape):
        raise ValueError("an array has no shape")
    return tuple(shape)


def _bytes(data: bytes | str) -> bytes:
    return data.encode("latin-1") if isinstance(data, str) else data
