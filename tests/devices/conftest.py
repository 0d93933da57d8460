"""Fixtures of devices: a small bundle, and what its tests need of this machine."""

import os
import shutil
from pathlib import Path

import pytest

import gatelet.devices
from gatelet.convert.onboard.verify import Question
from gatelet.convert.onboard.ways import Way
from gatelet.devices import DeviceProfile, read_profile
from gatelet.devices.compilers import find_compiler
from gatelet.devices.emulators import missing
from gatelet.devices.toolchains import TOOLCHAINS
from gatelet.errors import CompilerFailed
from gatelet.runtime.backends.c.cache import own_folder
from gatelet.runtime.bundle.opening import open_bundle
from tests.fixture_types import WriteBundle
from tests.shared import made_once

REQUIRED = os.environ.get("GATELET_DEVICES") == "required"
PROFILES = Path(gatelet.devices.__file__).parent / "profiles"
SCHEMES = ("float32", "dynamic-int8", "full-int8")


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Write a bundle of LSTM(4) over [10, 3] in the three schemes; tests must not change it."""
    artifacts = tuple(("c", scheme) for scheme in SCHEMES)

    def write(folder: Path) -> object:
        return write_bundle(
            folder / "small", features=3, artifacts=artifacts, with_vectorizer=False
        )

    return made_once(tmp_path_factory, "devices", write) / "small"


@pytest.fixture
def small(written: Path, tmp_path: Path) -> Path:
    """Return a copy of that bundle."""
    return Path(shutil.copytree(written, tmp_path / "small"))


def question(bundle: Path, device: str, *, way: Way = Way(), compiler: str = "") -> Question:  # noqa: B008  frozen
    """Ask for some hundred rows of a bundle on a device; skip where this machine cannot."""
    profile = device_or_skip(device, compiler)
    return Question(
        open_bundle(bundle),
        profile,
        way,
        compiler=compiler,
        budget=2_000_000,
        cache=own_folder() / "zig",
    )


def device_or_skip(device: str, compiler: str = "") -> DeviceProfile:
    """Return a profile, or skip where its compiler or emulator is not installed."""
    profile = read_profile(device)
    why = missing(profile)
    try:
        find_compiler(TOOLCHAINS[profile.cpu], kind=compiler)
    except CompilerFailed as error:
        why = why or str(error)
    if why:
        assert not REQUIRED, f"GATELET_DEVICES says that devices are required: {why}"
        pytest.skip(why)
    return profile
