"""Bundles that several tests here open; none may be changed."""

from pathlib import Path

import pytest

from tests.adversary.decision_models import bundle_of
from tests.fixture_types import WriteBundle
from tests.shared import made_once

FILES = tuple((target, "float32") for target in ("c", "litert", "onnx", "onnx-text", "tflm"))


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Write 'one', of every target, and 'other', of another model that shares no file with it."""

    def write(folder: Path) -> None:
        write_bundle(folder / "one", artifacts=FILES, stream=True)
        others = (("c", "float32"), ("onnx", "float32"))
        write_bundle(
            folder / "other", artifacts=others, features=2, with_vectorizer=False, stream=True
        )

    return made_once(tmp_path_factory, "pair", write)


@pytest.fixture(scope="module")
def logits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of("logits", tmp_path_factory)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of("several", tmp_path_factory)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of("tagger", tmp_path_factory)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of("outputs", tmp_path_factory)
