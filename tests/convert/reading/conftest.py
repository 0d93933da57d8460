"""What tests of reading share: one network in the files of several Keras, and a small one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared import made_once

HERE = Path(__file__).parent


def write_network(package: str, folder: Path) -> Path:
    """Let a Keras write the network of `same_network`, in a process of its own."""
    script = str(HERE / "same_network.py")
    done = subprocess.run(
        [sys.executable, script, package, str(folder)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def keras_3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the network as Keras 3 writes it."""
    return made_once(tmp_path_factory, "keras_3", lambda folder: write_network("keras", folder))


@pytest.fixture(scope="session")
def tf_keras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the network as tf_keras writes it."""
    return made_once(tmp_path_factory, "tf_keras", lambda folder: write_network("tf_keras", folder))
