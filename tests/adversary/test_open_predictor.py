"""A bundle that is replaced, moved or deleted leaves an open Predictor as it was."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.convert.bundle.writer import commit
from gatelet.errors import BundleDamaged, BundleError
from gatelet.runtime import load
from tests.adversary.every_method import answers_of

pytestmark = pytest.mark.ci

TARGETS = ("c", "litert", "onnx", "onnx-text", "tflm", "reference", "pure")


def convert_anew(bundle: Path, other: Path) -> None:
    """Replace a bundle as a conversion does."""
    stage = bundle.with_name("stage")
    shutil.copytree(other, stage)
    commit(stage, bundle)


def write_over(bundle: Path, other: Path) -> None:
    """Give another content to every name, as an update by rsync does."""
    for path in bundle.iterdir():
        beside = path.with_name("beside")
        beside.write_bytes(path.read_bytes()[::-1])
        beside.replace(path)


def delete(bundle: Path, other: Path) -> None:
    shutil.rmtree(bundle)


def move_in(bundle: Path, other: Path) -> None:
    """Put another folder in the place of the bundle's."""
    bundle.rename(bundle.with_name("old"))
    shutil.copytree(other, bundle)
    shutil.rmtree(bundle.with_name("old"))


WAYS = (convert_anew, write_over, delete, move_in)
Way = Callable[[Path, Path], None]


@pytest.mark.parametrize("target", TARGETS)
def test_every_method_gives_the_old_answers(pair: Path, tmp_path: Path, target: str) -> None:
    """Over 64 texts, a long text, `explain` and `stream()` are read when they are first asked."""
    right = answers_of(load(pair / "one", target=target))
    for way in WAYS if target in ("c", "onnx", "pure") else WAYS[:1]:
        bundle = tmp_path / way.__name__ / "bundle"
        shutil.copytree(pair / "one", bundle)
        opened = load(bundle, target=target)
        way(bundle, pair / "other")
        found = answers_of(opened)
        assert found == right, (way.__name__, found, right)


def test_a_predictor_without_a_proc_folder_keeps_its_answers(
    pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems where an open file has no path: engines get the bytes."""
    monkeypatch.setattr("sys.platform", "other")
    for target in ("litert", "onnx"):
        right = answers_of(load(pair / "one", target=target))
        bundle = Path(shutil.copytree(pair / "one", tmp_path / target))
        opened = load(bundle, target=target)
        convert_anew(bundle, pair / "other")
        assert answers_of(opened) == right


def test_a_process_that_closed_what_it_inherited_reads_the_same_file_or_none(
    pair: Path, tmp_path: Path
) -> None:
    """As a daemon does; the number of a descriptor may since be that of another file."""
    bundle = Path(shutil.copytree(pair / "one", tmp_path / "bundle"))
    right = answers_of(load(bundle, target="c"))
    opened = [load(bundle, target="c") for _ in range(2)]
    for predictor in opened:
        for held in predictor.bundle.contents._held.values():
            os.close(held._handle)
    others = [os.open("/dev/zero", os.O_RDONLY) for _ in range(16)]
    assert answers_of(opened[0]) == right
    convert_anew(bundle, pair / "other")
    with pytest.raises(BundleDamaged, match=r"is missing|cannot be read"):
        opened[1].explain("w1")
    del opened
    for one in others:
        os.read(one, 1)  # nobody closed it
        os.close(one)


def test_a_bundle_that_is_replaced_while_it_is_opened_is_opened_anew_or_refused(
    pair: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(pair / "one", tmp_path / "bundle"))
    right = [answers_of(load(pair / name, target="c")) for name in ("one", "other")]
    opened = load(bundle, target="c")
    write_over(bundle, pair / "other")
    with pytest.raises(BundleError):
        load(bundle, target="c")
    assert answers_of(opened) == right[0]
    assert right[1] != right[0], "the two models are not told apart"


@pytest.mark.full
def test_two_hundred_replacements_under_open_predictors(pair: Path, tmp_path: Path) -> None:
    right = {target: answers_of(load(pair / "one", target=target)) for target in TARGETS}
    bundle = Path(shutil.copytree(pair / "one", tmp_path / "bundle"))
    for number in range(200):
        target, way = TARGETS[number % len(TARGETS)], WAYS[number // len(TARGETS) % len(WAYS)]
        opened = load(bundle, target=target)
        way(bundle, pair / "other")
        assert answers_of(opened) == right[target], (number, target, way.__name__)
        shutil.rmtree(bundle, ignore_errors=True)
        shutil.copytree(pair / "one", bundle)
