"""Profiles of devices: what is in them, what is refused, and whether a bundle fits."""

from typing import Any

import pytest

from gatelet.convert.bundle.device_fit import check_flash
from gatelet.convert.exporters.c.build import ZIG_TARGETS
from gatelet.convert.exporters.choice import choose
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.settings import ConversionSettings
from gatelet.devices import profile_names, read_profile
from gatelet.devices.profile import profile_of
from gatelet.errors import ConfigError, ConversionError

FACTS: dict[str, Any] = {
    "title": "a board",
    "platform": "armv7-linux",
    "targets": ["c"],
    "threads": 1,
    "flash_bytes": 100,
    "ram_bytes": 1000,
}


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_names_what_can_be_made(name: str) -> None:
    profile = read_profile(name)
    assert profile.platform in ZIG_TARGETS
    assert set(profile.targets) <= set(TARGETS)
    assert profile.targets[0] == "c"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"title": ""}, "'title' is '', not a text"),
        ({"targets": "c"}, "'targets' is 'c', not a list of names"),
        ({"threads": 0}, "'threads' is 0, not a whole number above 0"),
        ({"flash_bytes": 1.5}, r"'flash_bytes' is 1\.5, not a whole number above 0"),
        ({"speed": 3}, "'speed' is not known"),
    ],
)
def test_a_wrong_profile_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=f"device profile 'x': {said}"):
        profile_of("x", {**FACTS, **change})


def test_a_profile_without_a_key_is_refused() -> None:
    found = {key: value for key, value in FACTS.items() if key != "ram_bytes"}
    with pytest.raises(ConfigError, match="'ram_bytes' is missing"):
        profile_of("x", found)


def test_a_name_that_is_not_known_gives_the_names() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'raspberry-pi-4'\? known are beaglebone"):
        read_profile("raspbery-pi-4")
    with pytest.raises(ConfigError, match=r"device '\.\./x' is not known"):
        read_profile("../x")


def test_a_device_that_runs_none_of_the_targets_is_refused() -> None:
    settings = ConversionSettings(targets=["onnx"], devices=["raspberry-pi-4"] * 2)
    assert [one.name for one in choose(settings).profiles] == ["raspberry-pi-4"]
    with pytest.raises(ConfigError, match=r"'beaglebone-black' runs c, and .* makes onnx: choose"):
        choose(ConversionSettings(targets=["onnx"], devices=["beaglebone-black"]))


def test_an_artifact_that_has_no_room_is_refused() -> None:
    profile = profile_of("x", dict(FACTS))
    artifact = {"target": "c", "bytes": 80, "companions": {"library:armv7-linux": "a.so"}}
    check_flash([profile], [artifact], [{"path": "a.so", "bytes": 20}])
    with pytest.raises(ConversionError, match=r"needs 110 bytes of flash; .* 100 \(over by 10\)"):
        check_flash([profile], [artifact], [{"path": "a.so", "bytes": 30}])
