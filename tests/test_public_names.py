"""Names that users have stay importable, wherever their modules go."""

from importlib import import_module

import pytest

PUBLIC = {
    "gatelet": ["__version__"],
    "gatelet.convert": ["convert", "convert_with_report", "lint", "prove"],
    "gatelet.convert.conversion": ["convert"],
    "gatelet.convert.schemes": ["SCHEMES", "Scheme"],
    "gatelet.convert.tolerances": ["TOLERANCES"],
    "gatelet.devices": ["DeviceProfile", "profile_names", "read_profile"],
    "gatelet.errors": ["GateletError"],
    "gatelet.runtime": [
        "Artifact",
        "Bundle",
        "Prediction",
        "Predictor",
        "Stream",
        "Vectorizer",
        "load",
        "open_bundle",
    ],
    "gatelet.runtime.bundle": ["Artifact", "Bundle", "is_bundle", "open_bundle"],
    "gatelet.runtime.graph": ["Graph", "GraphInput", "Node", "graph_from_json"],
    "gatelet.runtime.predictor": ["Prediction", "Predictor", "Stream", "load"],
    "gatelet.runtime.vectorizer": [
        "AnyVectorizer",
        "TextVectorization",
        "Vectorizer",
        "load_vectorizer",
    ],
    "gatelet.train": [
        "Setting",
        "TrainConfig",
        "evaluate_run",
        "keras_scores",
        "settings",
        "train",
    ],
}
"""By module: the `__all__` of the packages, and what README, the documents and examples import."""


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_where_they_were(module: str) -> None:
    found = import_module(module)

    assert [name for name in PUBLIC[module] if not hasattr(found, name)] == []


@pytest.mark.parametrize(
    "package", ["gatelet.convert", "gatelet.devices", "gatelet.runtime", "gatelet.train"]
)
def test_the_public_names_of_the_packages_are_all_listed(package: str) -> None:
    assert sorted(import_module(package).__all__) == sorted(PUBLIC[package])


def test_a_face_says_which_name_it_lacks() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Vectoriser'"):
        exec("from gatelet.runtime.vectorizer import Vectoriser")
