"""Profiles of devices: what is in them, what is refused, and whether a bundle fits."""

from pathlib import Path
from typing import Any

import pytest

from gatelet.convert.bundle.device_fit import check_flash
from gatelet.convert.exporters.c.build import ZIG_TARGETS
from gatelet.convert.exporters.choice import choose
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.settings import ConversionSettings
from gatelet.devices import profile_names, read_profile
from gatelet.devices.profile import BARE, SOURCED, profile_of
from gatelet.devices.toolchains import LINUX, TOOLCHAINS
from gatelet.errors import ConfigError, ConversionError
from tests.devices.conftest import PROFILES

FACTS: dict[str, Any] = {
    "title": "a board",
    "chip": "nRF1",
    "platform": "armv7-linux",
    "targets": ["c"],
    "threads": 1,
    "cpu": "cortex-m4f",
    "floats": "single",
    "simd": "dsp",
    "clock_hz": 64_000_000,
    "flash_bytes": 100,
    "ram_bytes": 1000,
    "stack_bytes": 100,
    "emulator": "mps2-an386",
    "packages": ["c"],
    **{f"{key}_source": "a data sheet" for key in SOURCED},
}


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_names_what_can_be_made(name: str) -> None:
    profile = read_profile(name)
    toolchain = TOOLCHAINS[profile.cpu]
    assert profile.platform in (BARE, *ZIG_TARGETS)
    assert profile.is_bare == (toolchain.start != LINUX)
    assert set(profile.targets) <= set(TARGETS)
    assert profile.targets[0] == "c"
    assert profile.is_emulated == bool(toolchain.machine) == (not toolchain.without)


def test_what_stands_in_for_a_device_is_named_with_what_it_is_not() -> None:
    told = {name: read_profile(name).stand_in for name in ("nano-33-ble", "pico", "raspberry-pi-5")}
    assert told == {
        "nano-33-ble": "Cortex-M4F on mps2-an386, not an nRF52840",
        "pico": "Cortex-M0+ code on the Cortex-M3 of mps2-an385, not an RP2040",
        "raspberry-pi-5": "Cortex-A76 on qemu-aarch64 in user mode, not a BCM2712",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"title": ""}, "'title' is '', not a text"),
        ({"targets": "c"}, "'targets' is 'c', not a list of names"),
        ({"threads": 0}, "'threads' is 0, not a whole number of processors, above 0"),
        ({"flash_bytes": 1.5}, r"'flash_bytes' is 1\.5, not a whole number of bytes, above 0"),
        ({"ram_bytes": "20K"}, "'ram_bytes' is '20K', not a whole number of bytes"),
        ({"clock_hz": 64}, "'clock_hz' is 64, not a whole number of hertz, 100,000 or more"),
        ({"flash_kb": 512}, "'flash_kb' is not known; write 'flash_bytes', in bytes; known are"),
        ({"clock_mhz": 64}, "'clock_mhz' is not known; write 'clock_hz', in hertz; known are"),
        ({"cpu": "cortex-m4"}, "cpu 'cortex-m4' is not known: did you mean 'cortex-m4f'"),
        ({"emulator": "mps2-an38"}, "emulator 'mps2-an38' is not known: did you mean 'mps2-an38"),
        ({"packages": ["npm"]}, "packages 'npm' is not known: known are c, cmake"),
        ({"cpu_source": ""}, "'cpu_source' is '': say where 'cpu' is from"),
        ({"stack_bytes": 1000}, "a stack of 1,000 bytes leaves nothing of the 1,000 bytes of RAM"),
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
    with pytest.raises(ConfigError, match=r"did you mean 'raspberry-pi-4'\? known are ard"):
        read_profile("raspbery-pi-4")
    with pytest.raises(ConfigError, match=r"device '\.\./x' is not known"):
        read_profile("../x")


def test_a_file_of_ones_own_is_a_profile_too(tmp_path: Path) -> None:
    text = (PROFILES / "bluepill.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("flash_bytes = 65_536", "flash_bytes = 9"))
    profile = read_profile(str(tmp_path / "mine.toml"))
    assert (profile.name, profile.flash_bytes, profile.cpu) == ("mine", 9, "cortex-m3")
    (tmp_path / "mine.toml").write_text("flash_bytes = 64K")
    with pytest.raises(ConfigError, match="device profile 'mine' is no TOML"):
        read_profile(str(tmp_path / "mine.toml"))
    with pytest.raises(ConfigError, match=r"other\.toml' cannot be read: No such file"):
        read_profile(str(tmp_path / "other.toml"))


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
