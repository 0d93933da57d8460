"""A pickle or joblib file read as data: its opcodes are followed here, and nothing is run.

Not what the objects in it mean: `pickled_classes.py` beside this one makes arrays of them, and
`vectorizer_files.py` vectorizers. The stock unpickler is not used, with a list of permitted names
either: its memo alone can be made to take gigabytes.

Source: the opcodes as `pickletools` of the standard library describes them.
"""

import pickletools
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as show
from typing import Any, cast

from gatelet.convert.reading.pickle_source import Source, source_of
from gatelet.convert.reading.pickled_classes import (
    JOBLIB_ARRAY,
    Known,
    PickledObject,
    array_of_bytes,
    call_known,
    find_known,
    joblib_layout,
    set_array_state,
)
from gatelet.errors import ModelError

MAX_OPCODES = 20_000_000
MAX_STACK = 100_000
MAX_DEPTH = 100

UNUSED_TABLES = ("word_counts", "word_docs", "index_docs", "index_word")
"""Of a Tokenizer: no id depends on them, so they are read past and not kept."""

_ITEM_BYTES, _ENTRY_BYTES, _CONTAINER_BYTES = 8, 136, 104
_KEYS = (str, int, float, bytes, type(None))
_WAY_OUT = "write what it holds as JSON where it was made"


class _List(list[Any]):
    """A list or tuple, with how deep it is nested: 1 for one of plain values."""

    __slots__ = ("depth",)


class _Dict(dict[Any, Any]):
    """A mapping, with how deep it is nested."""

    __slots__ = ("depth",)


def read_pickle(path: Path) -> Any:
    """Read what a pickle or a joblib file holds, without running any of it.

    Args:
        path: A pickle of any protocol, or what joblib.dump wrote, as it is or by zlib or gzip.

    Returns:
        None, bool, int, float, str, bytes, list (of a tuple or set too), dict, a `PickledArray`, or
        a `PickledObject` of a class in `pickled_classes.CLASSES`.

    Raises:
        ModelError: It cannot be read, names a class or function that is not known, or takes more
            than a limit.
    """
    with _refusing(path), path.open("rb") as file:
        source = source_of(file)
        return _Machine(source).run()


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelError(f"cannot read the pickle '{path}': {error.strerror or error}") from error
    except (ValueError, OverflowError, TypeError, struct.error, zlib.error) as error:
        raise ModelError(f"the pickle '{path}' is not read: {error}; {_WAY_OUT}") from error


class _Machine:
    """The stack and the memo that a pickle's opcodes work on."""

    def __init__(self, source: Source, *, nested: bool = False) -> None:
        self._source = source
        self._nested = nested
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: list[Any] = []
        self._opcodes = 0

    def run(self) -> Any:
        """Follow the opcodes up to the last; the result is what is left on the stack."""
        for opcode, argument, _ in pickletools.genops(cast(Any, self._source)):
            self._opcodes += 1
            if self._opcodes > MAX_OPCODES:
                raise ValueError(f"it has more than {MAX_OPCODES:,} opcodes")
            if opcode.name == "STOP":
                break
            step = _STEPS.get(opcode.name)
            if step is None:
                raise ValueError(f"it uses the opcode {opcode.name}, which is none of plain data")
            step(self, argument)
        return self._pop()

    def push(self, value: Any) -> None:
        if len(self._stack) >= MAX_STACK:
            raise ValueError(f"it has more than {MAX_STACK:,} values open at once")
        self._stack.append(value)

    def push_string(self, value: str) -> None:
        """Push a string of Python 2: text where it is ASCII, else bytes."""
        self.push(value if value.isascii() else value.encode("latin-1"))

    def push_bytes(self, value: bytes | bytearray) -> None:
        self.push(bytes(value))

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise ValueError("it is damaged: a value is missing")
        return self._stack.pop()

    def _top(self) -> Any:
        value = self._pop()
        self._stack.append(value)
        return value

    def mark(self, _: object) -> None:
        if len(self._marks) >= MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        self._marks.append(len(self._stack))

    def _pop_mark(self) -> list[Any]:
        if not self._marks:
            raise ValueError("it is damaged: a mark is missing")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def pop(self, _: object) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def pop_mark(self, _: object) -> None:
        self._pop_mark()

    def duplicate(self, _: object) -> None:
        self.push(self._top())

    # -- containers

    def _made(self, container: Any) -> Any:
        container.depth = 1
        self._source.hold(_CONTAINER_BYTES)
        return container

    def _nest(self, container: Any, values: list[Any]) -> None:
        """Count what enters a container."""
        for value in values:
            depth = getattr(value, "depth", 0)
            if depth >= container.depth:
                container.depth = depth + 1
                if depth >= MAX_DEPTH:
                    raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
            self._source.hold(_ITEM_BYTES if type(value) is str else sys.getsizeof(0) + _ITEM_BYTES)

    def _extend(self, container: Any, values: list[Any]) -> None:
        if not isinstance(container, _List):
            raise ValueError(f"it is damaged: it appends to {_kind(container)}")
        self._nest(container, values)
        container.extend(values)

    def _update(self, container: Any, values: list[Any]) -> None:
        if not isinstance(container, _Dict) or len(values) % 2:
            raise ValueError(f"it is damaged: it sets items of {_kind(container)}")
        if len(self._stack) > 1 and self._stack[-2] in UNUSED_TABLES:
            return
        for key in values[::2]:
            if not isinstance(key, _KEYS):
                raise ValueError(f"{_kind(key)} is a key: expected a string or a number")
        self._nest(container, values)
        self._source.hold(len(values) // 2 * _ENTRY_BYTES)
        container.update(zip(values[::2], values[1::2], strict=True))

    def empty_list(self, _: object) -> None:
        self.push(self._made(_List()))

    def empty_dict(self, _: object) -> None:
        self.push(self._made(_Dict()))

    def _sequence(self, values: list[Any]) -> None:
        made = self._made(_List())
        self._extend(made, values)
        self.push(made)

    def marked_list(self, _: object) -> None:
        self._sequence(self._pop_mark())

    def marked_dict(self, _: object) -> None:
        values = self._pop_mark()
        made = self._made(_Dict())
        self._update(made, values)
        self.push(made)

    def append(self, _: object) -> None:
        value = self._pop()
        self._extend(self._top(), [value])

    def appends(self, _: object) -> None:
        values = self._pop_mark()
        self._extend(self._top(), values)

    def set_item(self, _: object) -> None:
        value, key = self._pop(), self._pop()
        self._update(self._top(), [key, value])

    def set_items(self, _: object) -> None:
        values = self._pop_mark()
        self._update(self._top(), values)

    # -- memo

    def _remember(self, index: int) -> None:
        if not 0 <= index <= self._opcodes:
            raise ValueError(f"its memo has the index {index:,} after {self._opcodes:,} opcodes")
        missing = index + 1 - len(self._memo)
        if missing > 0:
            self._source.hold(missing * _ITEM_BYTES)
            self._memo.extend([_Dict] * missing)  # a class: no value of a pickle is one
        self._memo[index] = self._top()

    def put(self, index: int) -> None:
        self._remember(index)

    def memoize(self, _: object) -> None:
        self._remember(len(self._memo))

    def get(self, index: int) -> None:
        if not 0 <= index < len(self._memo) or self._memo[index] is _Dict:
            raise ValueError(f"it is damaged: its memo has no value {index:,}")
        self.push(self._memo[index])

    # -- what would run code in the stock unpickler

    def named(self, name: str) -> None:
        self.push(find_known(name.replace(" ", ".")))

    def stack_named(self, _: object) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("it is damaged: the name of a class is missing")
        self.named(f"{module}.{name}")

    def call(self, _: object) -> None:
        arguments, called = self._pop(), self._pop()
        if not isinstance(called, Known) or not isinstance(arguments, _List):
            raise ValueError(f"it calls {_kind(called)}: expected a class or function by name")
        made = call_known(called, list(arguments))
        self._source.hold(_CONTAINER_BYTES)
        if isinstance(made, dict):
            pairs = [value for pair in made.items() for value in pair]
            made = self._made(_Dict())
            self._update(made, pairs)
        elif isinstance(made, list):
            values = made
            made = self._made(_List())
            self._extend(made, values)
        self.push(made)

    def build(self, _: object) -> None:
        state = self._pop()
        built = self._top()
        if isinstance(built, PickledObject):
            if not isinstance(state, _Dict):
                raise ValueError(f"the state of {built.name} is {_kind(state)}: expected a dict")
            if built.state:
                raise ValueError(f"the state of {built.name} is set twice")
            self._nest(built, [state])
            built.state = state
            if built.name == JOBLIB_ARRAY:
                self._stack[-1] = self._joblib_array(built)
        elif not (isinstance(built, _Dict) and not state):
            set_array_state(built, state)

    def _joblib_array(self, wrapper: PickledObject) -> Any:
        """Read the array whose bytes joblib put behind its description."""
        layout = joblib_layout(wrapper)
        if self._nested:
            raise ValueError("an array of joblib stands inside an array")
        if layout.dtype.hasobject:
            return _Machine(self._source, nested=True).run()
        if layout.aligned:
            self._source.read(self._source.read(1)[0])
        return array_of_bytes(self._source.read(layout.nbytes), layout)


def _kind(value: object) -> str:
    return show(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


_LITERALS = (
    *("NONE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
)
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
    **dict.fromkeys(_LITERALS, _Machine.push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _Machine.push_string),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _Machine.push_bytes),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    "EMPTY_LIST": _Machine.empty_list,
    "EMPTY_TUPLE": _Machine.empty_list,
    "EMPTY_DICT": _Machine.empty_dict,
    "LIST": _Machine.marked_list,
    "TUPLE": _Machine.marked_list,
    "TUPLE1": lambda machine, _: machine._sequence([machine._pop()]),
    "TUPLE2": lambda machine, _: machine._sequence([machine._pop() for _ in "12"][::-1]),
    "TUPLE3": lambda machine, _: machine._sequence([machine._pop() for _ in "123"][::-1]),
    "DICT": _Machine.marked_dict,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": _Machine.memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    "GLOBAL": _Machine.named,
    "STACK_GLOBAL": _Machine.stack_named,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
}
