"""Fixtures of the runtime's tests."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a function that makes packages look as if they were not installed."""

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
    out = tmp_path_factory.mktemp("bundles") / "both"
    return write_bundle(
        out, artifacts=(("onnx", "float32"), ("litert", "float32"), ("litert", "dynamic-int8"))
    )


@pytest.fixture(scope="session")
def every_target_bundle(
    tmp_path_factory: pytest.TempPathFactory, write_bundle: Callable[..., Path]
) -> Path:
    """Write the tiny bundle with an artifact of every target; not to be changed."""
    out = tmp_path_factory.mktemp("bundles") / "every"
    targets = ("c", "litert", "onnx", "onnx-text", "tflm")
    return write_bundle(out, artifacts=tuple((target, "float32") for target in targets))
