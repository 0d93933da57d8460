"""No altered file of a bundle passes, and none answers without a word."""

from pathlib import Path

import pytest

from gatelet.errors import GateletError
from gatelet.runtime import load
from gatelet.runtime.bundle.opening import open_bundle
from tests.adversary.tampering import (
    WAYS,
    Altered,
    Judge,
    alter,
    altered_files,
    files_of,
    make_bundles,
    sample,
)
from tests.shared import made_once

SHARE = 5
"""One in so many altered files is judged in CI."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return small bundles of c and onnx: 'own', and by way those that files are taken from."""
    made = made_once(
        tmp_path_factory,
        "tampering",
        lambda folder: make_bundles(folder, targets=("c", "onnx"), schemes=("float32",)),
    )
    names = ("own", *(way for way in WAYS if way not in ("flipped", "truncated")))
    return {name: made / name.replace(" ", "-") / "model" for name in names}


@pytest.fixture(scope="module")
def changes(bundles: dict[str, Path]) -> list[Altered]:
    return list(altered_files(bundles))


def test_each_file_is_altered_in_at_least_two_ways(
    bundles: dict[str, Path], changes: list[Altered]
) -> None:
    files = set(files_of(open_bundle(bundles["own"])))
    assert {one.path for one in changes} == files
    assert all(len({c.way for c in changes if c.path == path}) >= 2 for path in files)
    assert {one.way for one in changes} == set(WAYS)


def test_no_altered_file_passes_parity(bundles: dict[str, Path], changes: list[Altered]) -> None:
    judge = Judge(bundles["own"])
    chosen = sample(changes, len(changes) // SHARE)
    found = {(one.what, one.way): judge.finding(one) for one in chosen}
    assert [key for key, one in found.items() if one.verdict == "pass"] == []
    assert sum(one.verdict == "fail" for one in found.values()) == len(found)


def test_files_that_nobody_altered_pass(bundles: dict[str, Path]) -> None:
    judge = Judge(bundles["own"])
    own = open_bundle(bundles["own"])
    for path, what in files_of(own).items():
        if what in ("weights", "c float32 header", "onnx float32"):
            data = (own.path / path).read_bytes()
            assert judge.finding(Altered(what, path, "", data)).verdict == "pass", what


def test_whatever_was_altered_predict_says_a_word(
    bundles: dict[str, Path], changes: list[Altered], tmp_path: Path
) -> None:
    silent = []
    for number, one in enumerate(changes):
        out = alter(bundles["own"], tmp_path / f"{number}", one, verdicts=False)
        for target in ("onnx", "reference"):
            try:
                predictor = load(out, target=target, scheme="float32")
            except GateletError:
                continue
            if one.path not in str(predictor.note) and "more" not in str(predictor.note):
                silent.append((one.what, one.way, target))
    assert silent == []


@pytest.mark.full
def test_no_altered_file_of_all_passes(bundles: dict[str, Path], changes: list[Altered]) -> None:
    judge = Judge(bundles["own"])
    passed = [(one.what, one.way) for one in changes if judge.finding(one).verdict == "pass"]
    assert passed == []
