"""Bundles that packages are made of, each with the schemes that tests need."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.runtime.bundle.decisions import Decision
from tests.fixture_types import WriteBundle
from tests.shared import made_once

MODELS: dict[str, dict[str, Any]] = {
    "texts": {"schemes": ("float32", "dynamic-int8", "full-int8"), "labels": ("bad", 'g"ood\\')},
    "features": {
        "schemes": ("float32", "full-int8"),
        "features": 3,
        "outputs": 3,
        "labels": ("a", "b", "c"),
        "with_vectorizer": False,
    },
    "numbers": {"features": 2, "outputs": 1, "labels": (), "with_vectorizer": False},
    "several": {
        "features": 3,
        "outputs": 3,
        "timesteps": 10,
        "with_vectorizer": False,
        "decisions": (
            Decision("scores", ("x", "y", "z"), thresholds=(0.3, 0.2, 0.4), multi_label=True),
        ),
    },
    "gru": {"cell": "GRU", "reset_after": True, "features": 3, "with_vectorizer": False},
    "gru_before": {"cell": "GRU", "reset_after": False},
    "simple": {"cell": "SimpleRNN", "features": 2, "with_vectorizer": False},
    "hard": {"recurrent_activation": "hard_sigmoid", "features": 3, "with_vectorizer": False},
    "backwards": {"go_backwards": True, "features": 3, "with_vectorizer": False},
    "decided": {
        "schemes": ("float32",),
        "outputs": 3,
        "decisions": (Decision("scores", ("x", "y", "z"), activation="softmax"),),
    },
}


@pytest.fixture(scope="session")
def bundles(
    tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle
) -> Callable[[str], Path]:
    """Return a function that returns a bundle of MODELS, written once. Tests must not change it."""

    def bundle(name: str) -> Path:
        settings = {"schemes": ("full-int8",), **MODELS[name]}
        artifacts = tuple(("c", scheme) for scheme in settings.pop("schemes"))
        made = made_once(
            tmp_path_factory,
            f"packed-{name}",
            lambda folder: write_bundle(folder / name, artifacts=artifacts, **settings),
        )
        return made / name

    return bundle
