"""Frozen dataclasses for what every process loads, without loading `dataclasses`.

Not a dialect: type checkers see the standard library's own, and `dataclasses.replace`, `fields` and
`asdict` take instances of these. `dataclasses` itself, which imports `inspect` and what that needs,
costs a process 8 ms and 1.4 MB; here it is imported when somebody asks for the fields.
"""

from collections.abc import Callable

__all__ = ["dataclass", "field"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_MISSING = object()
_RECORDS_UNTIL_WRITTEN = 20


class _Field:
    """What `field()` says of a field."""

    def __init__(self, default: object, factory: object, *, repr_: bool, compare: bool) -> None:
        self.default = default
        self.factory = factory
        self.repr = repr_
        self.compare = compare


def _field(
    *,
    default: object = _MISSING,
    default_factory: object = _MISSING,
    repr: bool = True,  # the standard library's word
    compare: bool = True,
) -> "Any":
    """Describe a field, as `dataclasses.field` does."""
    return _Field(default, default_factory, repr_=repr, compare=compare)


def _dataclass(*, frozen: bool) -> "Callable[[type], type]":
    """Make a class frozen data, as `dataclasses.dataclass(frozen=True)` does."""
    if not frozen:
        raise TypeError("a record is frozen: use dataclasses.dataclass for others")
    return _made


def _made(cls: type) -> type:
    fields: dict[str, _Field] = {}
    for parent in reversed(cls.__mro__[1:]):
        fields |= parent.__dict__.get("_record_fields", {})
    for name in vars(cls).get("__annotations__", {}):
        default = cls.__dict__.get(name, _MISSING)
        if isinstance(default, _Field):
            fields[name] = default
            delattr(cls, name)
            if default.default is not _MISSING:
                setattr(cls, name, default.default)
        else:
            fields[name] = _Field(default, _MISSING, repr_=True, compare=True)
    names = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__")
    added = (_initializer(cls, fields), _shown, _equals, _hashed, _refuse_set, _refuse_delete)
    for name, function in zip(names, added, strict=True):
        if name not in vars(cls):
            setattr(cls, name, function)
    for name, value in (("_record_fields", fields), ("__match_args__", tuple(fields))):
        setattr(cls, name, value)
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        setattr(cls, name, _OfDataclass(name))
    return cls


def _shown(self: "Any") -> str:
    fields = self._record_fields.items()
    written = (f"{name}={getattr(self, name)!r}" for name, one in fields if one.repr)
    return f"{type(self).__qualname__}({', '.join(written)})"


def _values(self: "Any") -> tuple[object, ...]:
    fields = self._record_fields.items()
    return tuple(getattr(self, name) for name, one in fields if one.compare)


def _equals(self: "Any", other: object) -> bool:
    return _values(self) == _values(other) if type(self) is type(other) else NotImplemented


def _hashed(self: "Any") -> int:
    return hash(_values(self))


def _initializer(cls: type, fields: dict[str, _Field]) -> "Callable[..., None]":
    """Return an `__init__` that is written as source once a few records are made: most never are.

    To write one costs as much as to make a hundred records without.
    """
    names, left = tuple(fields), _RECORDS_UNTIL_WRITTEN

    def first(self: object, *given: object, **named: object) -> None:
        nonlocal left
        left -= 1
        values, used = dict(zip(names, given, strict=False)), 0
        for name in names[len(given) :]:
            one = fields[name]
            if name in named:
                values[name] = named[name]
                used += 1
            elif one.factory is not _MISSING:
                values[name] = one.factory()  # type: ignore[operator]  # what `field` was given
            elif one.default is not _MISSING:
                values[name] = one.default
        # a wrong call is for the written one, which says what is wrong
        wrong = len(given) > len(names) or used < len(named) or len(values) < len(names)
        if left < 0 or wrong:
            written = _written(cls, fields)
            cls.__init__ = written  # type: ignore[misc]  # the record's own, as `first` was
            written(self, *given, **named)
            return
        self.__dict__.update(values)
        if hasattr(cls, "__post_init__"):
            self.__post_init__()  # type: ignore[attr-defined]  # asked for above

    return first


def _written(cls: type, fields: dict[str, _Field]) -> "Callable[..., None]":
    """Write `__init__`: as source, so that a wrong call gives Python's own messages."""
    known: dict[str, Any] = {"_MISSING": _MISSING}
    parameters, body = ["self"], ["    values = self.__dict__"]
    for name, one in fields.items():
        if one.factory is not _MISSING:
            known[f"_new_{name}"] = one.factory
            parameters.append(f"{name}=_MISSING")
            body.append(f"    if {name} is _MISSING: {name} = _new_{name}()")
        elif one.default is not _MISSING:
            known[f"_default_{name}"] = one.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        body.append(f"    values['{name}'] = {name}")
    if hasattr(cls, "__post_init__"):
        body.append("    self.__post_init__()")
    exec("\n".join((f"def __init__({', '.join(parameters)}):", *body)), known)
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _refuse_set(self: object, name: str, value: object) -> "NoReturn":
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> "NoReturn":
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


class _OfDataclass:
    """An attribute that `dataclasses` looks for, made when it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> object:
        import dataclasses

        twin: dict[str, Any] = {"__annotations__": {}}
        for name, one in owner.__dict__["_record_fields"].items():
            twin["__annotations__"][name] = "object"
            settings: dict[str, Any] = {"repr": one.repr, "compare": one.compare}
            if one.factory is not _MISSING:
                settings["default_factory"] = one.factory
            elif one.default is not _MISSING:
                settings["default"] = one.default
            twin[name] = dataclasses.field(**settings)
        made: Any = dataclasses.dataclass(frozen=True)(type(owner.__name__, (), twin))
        for name in ("__dataclass_fields__", "__dataclass_params__"):
            setattr(owner, name, getattr(made, name))
        return getattr(made, self.name)


if TYPE_CHECKING:
    from dataclasses import dataclass, field
else:
    dataclass, field = _dataclass, _field
