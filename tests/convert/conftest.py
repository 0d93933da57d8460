"""What tests of conversion share: digests of folders, forged files, runs that convert fast."""

import hashlib
import io
import json
import os
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.convert.parity import Oracle
from gatelet.convert.parity.oracles.ask import Question, ask_oracles
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.run import Run
from tests.shared import made_once

EditPart = Callable[[Path, str, Callable[[bytes], bytes]], None]
ROWS = 300


@pytest.fixture(scope="session")
def keras() -> Any:
    """Return Keras, imported without what it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


@pytest.fixture(scope="session")
def digests_of() -> Callable[[Path], dict[str, str]]:
    """Return a function that tells every file below a folder with its content's digest."""

    def digests(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return digests


@pytest.fixture(scope="session")
def edit_part() -> EditPart:
    """Return a function that edits a file of a bundle and its digest: parity alone can see it.

    The part is a key of the manifest ('vectorizer') or 'target scheme' ('onnx float32').
    """

    def edit(bundle: Path, part: str, change: Callable[[bytes], bytes]) -> None:
        path = bundle / "manifest.json"
        manifest = json.loads(path.read_bytes())
        for entry in (*manifest["files"], *manifest["artifacts"]):
            named = f"{entry.get('target')} {entry.get('scheme')}"
            if entry["path"] == manifest.get(part) or named == part:
                data = (bundle / entry["path"]).read_bytes()
                changed = change(data)
                assert changed != data, f"the fault planted in {part} changes nothing"
                (bundle / entry["path"]).write_bytes(changed)
                entry |= {
                    "bytes": len(changed),
                    "sha256": hashlib.sha256(changed).hexdigest(),
                }
        path.write_text(json.dumps(manifest), "utf-8")
        open_bundle(bundle)

    return edit


@pytest.fixture(scope="session")
def shift_keras_bias() -> Callable[[bytes], bytes]:
    """Return a function that adds 1 to the bias of the dense layer in a `.keras` file."""

    def shift(data: bytes) -> bytes:
        import h5py

        members: dict[str, bytes] = {}
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        weights = io.BytesIO(members["model.weights.h5"])
        with h5py.File(weights, "r+") as file:
            file["layers/dense/vars/1"][...] += 1
        members["model.weights.h5"] = weights.getvalue()
        changed = io.BytesIO()
        with zipfile.ZipFile(changed, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return changed.getvalue()

    return shift


@pytest.fixture(scope="session")
def small_run(quickstart: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the trained run with only 40 rows in its test part, which converts in a second."""
    made = made_once(
        tmp_path_factory, "small-run", lambda folder: _small(quickstart.run, folder / "small")
    )
    return made / "small"


@pytest.fixture(scope="session")
def classic_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return such a run of the recipe 'seed', whose units are fast enough for tflm's integers."""
    from gatelet.train import TrainConfig, train

    def make(folder: Path) -> None:
        settings = {"corpus": "reviews-en", "out": folder / "run", "epochs": 2, "baseline": False}
        train(TrainConfig.resolve(recipe="seed", overrides=settings))
        _small(folder / "run", folder / "small")

    return made_once(tmp_path_factory, "classic-run", make) / "small"


@pytest.fixture(scope="session")
def other_run(
    quickstart: Any,
    tmp_path_factory: pytest.TempPathFactory,
    shift_keras_bias: Callable[[bytes], bytes],
) -> Path:
    """Return the same run with another model: its scores are far from those of `small_run`."""
    run = _small(quickstart.run, tmp_path_factory.mktemp("runs") / "other")
    model = run / "model.keras"
    model.write_bytes(shift_keras_bias(model.read_bytes()))
    return run


def _small(run: Path, copy: Path) -> Path:
    shutil.copytree(run, copy)
    lines = (copy / "test.jsonl").read_text("utf-8").splitlines(keepends=True)
    (copy / "test.jsonl").write_text("".join(lines[:40]), "utf-8")
    return copy


@pytest.fixture
def no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide TensorFlow: conversion then exports onnx only, and asks the Graph only."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)


@pytest.fixture(scope="session")
def without_tensorflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of a child process to which TensorFlow is not installed."""
    folder = tmp_path_factory.mktemp("hidden")
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['tensorflow'] = None\n")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture
def trained(quickstart: Any, tmp_path: Path) -> Path:
    """Return a copy of the trained bundle."""
    return Path(shutil.copytree(quickstart.bundle, tmp_path / "trained"))


@pytest.fixture(scope="session")
def held_out(quickstart: Any) -> Dataset:
    """Return the rows that the quickstart did not train on."""
    return Run.open(quickstart.run).test()


@pytest.fixture(scope="session")
def rows(held_out: Dataset) -> Dataset:
    """Return enough rows of the test part to decide everything."""
    return Dataset(
        texts=held_out.texts[:ROWS],
        labels=held_out.labels[:ROWS] if held_out.labels is not None else None,
        name="some rows",
    )


@pytest.fixture(scope="session")
def whole(quickstart: Any, held_out: Dataset) -> Oracle:
    """Ask the Graph and Keras once for the whole test part."""
    bundle = open_bundle(quickstart.bundle)
    source = bundle.part("source")
    assert source is not None
    with Worker() as worker:
        return ask_oracles(
            bundle,
            Question(held_out.texts, keras_file=source.read_bytes()),
            worker,
            progress=lambda text: None,
        )


@pytest.fixture(scope="session")
def few(rows: Dataset) -> Dataset:
    """Return a few rows, for checks that need no more."""
    return Dataset(texts=rows.texts[:32], labels=None, name="few rows")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return an empty folder in which a conversion may leave only its bundle."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder
