"""Records are dataclasses to whoever asks, and know nothing of `dataclasses` until then."""

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from gatelet.runtime import records


def classes(dataclass: Callable[..., Any], field: Callable[..., Any]) -> tuple[Any, Any]:
    """Define the same two classes with either decorator."""

    @dataclass(frozen=True)
    class Point:
        """A point."""

        x: int
        y: int = 2
        tags: list[str] = field(default_factory=list, compare=False)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("x is negative")

        @property
        def double(self) -> int:
            return 2 * self.x

    @dataclass(frozen=True)
    class Named(Point):
        name: str = field(default="p", repr=False)

    return Point, Named


OURS, THEIRS = (classes(one.dataclass, one.field) for one in (records, dataclasses))


def both(use: Callable[[Any, Any], object]) -> tuple[object, object]:
    found: list[object] = []
    for point, named in (OURS, THEIRS):
        try:
            found.append(use(point, named))
        except (TypeError, ValueError, AttributeError) as error:
            found.append((type(error), str(error)))
    return found[0], found[1]


USES: tuple[Callable[[Any, Any], object], ...] = (
    lambda point, named: repr(point(1)),
    lambda point, named: repr(named(1, y=5, name="q", tags=["a"])),
    lambda point, named: point(1) == point(1, 2, ["other"]),
    lambda point, named: point(1) == point(2),
    lambda point, named: point(1) == named(1),
    lambda point, named: point(1) == 1,
    lambda point, named: hash(point(1)) == hash(point(1, 2, ["other"])),
    lambda point, named: {named(3), named(3)} == {named(3)},
    lambda point, named: dataclasses.replace(point(1), y=7).y,
    lambda point, named: dataclasses.asdict(named(1, tags=["a"])),
    lambda point, named: [(one.name, one.default) for one in dataclasses.fields(named)][1],
    lambda point, named: dataclasses.is_dataclass(point(1)),
    lambda point, named: named.__match_args__,
    lambda point, named: point(1).tags is point(1).tags,
    lambda point, named: vars(copy.copy(named(4, tags=["b"]))),
    lambda point, named: named(4).double,
    lambda point, named: (point.y, named.name),
    lambda point, named: point(-1),
    lambda point, named: dataclasses.replace(point(1), x=-1),
    lambda point, named: point(),
    lambda point, named: point(1, 2, [], 4),
    lambda point, named: point(1, x=2),
    lambda point, named: point(1, 2, [], x=2),
    lambda point, named: list(vars(named(tags=[], x=3))),
    lambda point, named: named(1, nam="x"),
    lambda point, named: setattr(point(1), "x", 2),
    lambda point, named: setattr(point(1), "unknown", 2),
    lambda point, named: delattr(named(1), "x"),
)


@pytest.mark.parametrize("number", range(len(USES)))
def test_a_record_does_what_a_dataclass_does(number: int) -> None:
    ours, theirs = both(USES[number])
    assert ours == theirs


@pytest.mark.parametrize("number", range(len(USES)))
def test_a_record_does_so_after_many_calls(number: int) -> None:
    for _ in range(records._RECORDS_UNTIL_WRITTEN + 1):
        OURS[0](1)
    assert OURS[0].__init__.__name__ == "__init__"
    ours, theirs = both(USES[number])
    assert ours == theirs


def test_a_dataclass_may_inherit_from_a_record_and_hold_one() -> None:
    @dataclasses.dataclass(frozen=True)
    class More(OURS[0]):  # type: ignore[misc, valid-type]  # made at run time
        z: int = 3

    more = More(1, z=4)
    assert (more.x, more.y, more.z) == (1, 2, 4)
    assert dataclasses.asdict(more) == {"x": 1, "y": 2, "tags": [], "z": 4}


def test_records_are_pickled() -> None:
    from gatelet.runtime.bundle.manifest import BundleFile

    one = BundleFile("a", 1, "b")
    assert pickle.loads(pickle.dumps(one)) == one


def test_a_record_is_frozen_and_nothing_else() -> None:
    with pytest.raises(TypeError, match="a record is frozen"):
        records._dataclass(frozen=False)


START = """
import sys
from gatelet.runtime import load
found = load(sys.argv[1], target="c").predict(["w1 w2"])
print(*sorted({"dataclasses", "inspect", "typing", "hashlib", "numpy", "subprocess", "threading"}
    & sys.modules.keys()))
"""


def test_a_start_through_c_loads_nothing_dear(every_target_bundle: object) -> None:
    bare = subprocess.run(
        [sys.executable, "-c", START.replace("from gatelet", "#").replace("found =", "#")],
        check=True,
        capture_output=True,
        text=True,
    )
    done = subprocess.run(
        [sys.executable, "-c", START, str(every_target_bundle)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert set(done.stdout.split()) <= set(bare.stdout.split())
