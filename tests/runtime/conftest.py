"""Fixtures of the runtime's tests."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.shared import made_once


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes packages look as if they were not installed."""

    def hide_packages(*names: str) -> None:
        find = importlib.util.find_spec

        def find_others(name: str, package: str | None = None) -> Any:
            return None if name.split(".")[0] in names else find(name, package)

        monkeypatch.setattr(importlib.util, "find_spec", find_others)

    return hide_packages


@pytest.fixture(scope="session")
def litert_bundle(
    tmp_path_factory: pytest.TempPathFactory, write_bundle: Callable[..., Path]
) -> Path:
    """Write the tiny bundle with litert and onnx artifacts, in that order; not to be changed."""
    artifacts = (("onnx", "float32"), ("litert", "float32"), ("litert", "dynamic-int8"))
    return _written_once(tmp_path_factory, write_bundle, "both", artifacts)


@pytest.fixture(scope="session")
def every_target_bundle(
    tmp_path_factory: pytest.TempPathFactory, write_bundle: Callable[..., Path]
) -> Path:
    """Write the tiny bundle with an artifact of every target; not to be changed."""
    targets = ("c", "litert", "onnx", "onnx-text", "tflm")
    artifacts = tuple((target, "float32") for target in targets)
    return _written_once(tmp_path_factory, write_bundle, "every", artifacts)


def _written_once(
    factory: pytest.TempPathFactory,
    write_bundle: Callable[..., Path],
    name: str,
    artifacts: tuple[tuple[str, str], ...],
) -> Path:
    def write(folder: Path) -> None:
        write_bundle(folder / name, artifacts=artifacts)

    return made_once(factory, f"bundle-{name}", write) / name
