"""The command `devices`, and `convert --device`."""

import json
from pathlib import Path

from gatelet.devices import profile_names
from gatelet.runtime.bundle.opening import open_bundle
from tests.cli.conftest import RunCli
from tests.convert.reading.hostile_files import write_keras


def test_devices_are_listed_and_shown(cli: RunCli) -> None:
    listed = cli("devices").out
    assert [line.split()[0] for line in listed.splitlines()[1:]] == list(profile_names())
    shown = cli("devices", "raspberry-pi-4").out
    assert "platform   aarch64-linux, 4 processors\ntargets    c, litert, onnx" in shown
    assert json.loads(cli("devices", "raspberry-pi-4", "--json").out)["platform"] == "aarch64-linux"
    assert len(json.loads(cli("devices", "--json").out)) == len(profile_names())


def test_a_name_that_is_not_known_is_one_line(cli: RunCli, tmp_path: Path) -> None:
    for words in ("devices", "pi"), ("convert", "m", "--out", tmp_path / "b", "--device", "pi"):
        done = cli(*words)
        assert done.code == 2
        assert (
            "device 'pi' is not known: did you mean 'pico'? known are arduino-zero, "
        ) in done.err


def test_a_conversion_for_a_device_puts_its_library_into_the_bundle(
    cli: RunCli, tmp_path: Path
) -> None:
    model = write_keras(tmp_path / "model.keras")
    flags = ("--target", "c", "--scheme", "float32", "--no-keras", "--device", "raspberry-pi-4")
    assert cli("convert", model, "--out", tmp_path / "b", *flags).code == 0
    (artifact,) = open_bundle(tmp_path / "b").artifacts
    assert "library:aarch64-linux" in artifact.companions
