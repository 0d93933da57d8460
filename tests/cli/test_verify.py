"""The command `verify`: what it prints, keeps in the bundle, and says of what it cannot do."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.runtime.bundle.opening import open_bundle
from tests.cli.conftest import RunCli
from tests.devices.conftest import PROFILES, device_or_skip
from tests.fixture_types import WriteBundle
from tests.shared import made_once

pytestmark = pytest.mark.ci  # compiles models

Tree = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def small(
    tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle, tmp_path: Path
) -> Path:
    """Return a bundle of features with two c artifacts, of its own for each test."""
    artifacts = (("c", "float32"), ("c", "full-int8"))

    def write(folder: Path) -> object:
        return write_bundle(
            folder / "small", features=3, artifacts=artifacts, with_vectorizer=False
        )

    made = made_once(tmp_path_factory, "cli-devices", write)
    return Path(shutil.copytree(made / "small", tmp_path / "small"))


def test_a_verdict_is_printed_and_kept(cli: RunCli, small: Path) -> None:
    device_or_skip("stm32f405")
    before = json.loads((small / "manifest.json").read_bytes())
    for _ in range(2):  # the second verdict takes the place of the first
        done = cli("verify", small, "--device", "stm32f405", "--scheme", "full-int8")
    assert done.code == 0, done
    assert "c full-int8  whole  " in done.out
    assert "on Cortex-M4F on netduinoplus2, not an STM32F405; arm-none-eabi-gcc" in done.out
    bundle = open_bundle(small)
    kept = {one.scheme: one.entry.get("devices", []) for one in bundle.artifacts}
    assert not kept["float32"]
    (found,) = kept["full-int8"]
    assert (found["device"], found["verdict"], found["limit"]) == ("stm32f405", "pass", 0)
    assert found["numbers"] == found["same_bits"] == found["rows"] >= 8
    assert found["count"]["unit"] == "instructions"
    assert {"flags", "compiler", "flash_bytes", "linked_ram_bytes", "stack_bytes"} <= set(found)
    after = dict(bundle.manifest)
    (entry,) = (one for one in after["artifacts"] if one["scheme"] == "full-int8")
    del entry["devices"]
    assert after == before
    (row,) = (x for x in cli("inspect", small).out.splitlines() if x.startswith("stm32f405"))
    assert row.split()[1:3] == ["c", "full-int8"]
    assert "  pass     arm-none-eabi-gcc " in row
    for key in ("flash", "code", "weights", "linked_ram", "scratch", "stack"):
        assert f" {found[f'{key}_bytes']:,} " in row
    assert f" {found['count']['timestep']:,} " in row
    out = small.with_name("package")
    packed = cli("export", small, out, "--to", "c", "--scheme", "full-int8", "--json")
    assert json.loads(packed.out)["devices"] == [found]
    cells = [line.split(" | ") for line in (out / "README.md").read_text().splitlines()]
    (told,) = (one for one in cells if one[0] == "| stm32f405")
    assert told[-1].startswith("arm-none-eabi-gcc ") and told[-2] == "pass"
    assert f"{found['stack_bytes']:,}" in told and f"{found['code_bytes']:,}" in told
    shown = cli("verify", small, "--device", "stm32f405", "--scheme", "full-int8", "--json")
    (line,) = json.loads(shown.out)
    assert {**line, "when": ""} == {"scheme": "full-int8", **found, "when": ""}


def test_rows_of_ones_own_are_run_too(cli: RunCli, small: Path, tmp_path: Path) -> None:
    import numpy as np

    device_or_skip("stm32f405")
    np.savez(tmp_path / "rows.npz", x=np.ones((5, 10, 3), np.float32))
    flags = ("--device", "stm32f405", "--scheme", "full-int8", "--data", tmp_path / "rows.npz")
    (found,) = json.loads(cli("verify", small, *flags, "--json").out)
    assert found["rows"] == 8 + 5


def test_a_scheme_that_does_not_fit_names_those_that_do(
    cli: RunCli, small: Path, tmp_path: Path
) -> None:
    profile = device_or_skip("bluepill")
    text = (PROFILES / "bluepill.toml").read_text()
    assert f"flash_bytes = {profile.flash_bytes:_}" in text
    mine = tmp_path / "mine.toml"
    flags = ("--device", "bluepill", "--scheme", "float32", "--json")
    (fitting,) = json.loads(cli("verify", small, *flags).out)
    offered = fitting["flash_bytes"] - 1
    mine.write_text(
        text.replace(f"flash_bytes = {profile.flash_bytes:_}", f"flash_bytes = {offered}")
    )
    done = cli("verify", small, "--device", mine, "--scheme", "float32")
    assert done.code == 1
    last = done.out.splitlines()[-1]
    assert last.startswith("c float32: needs ")
    assert last.endswith("); fits: full-int8")
    assert f"bytes of flash; profile 'mine' offers {offered:,} (over by " in last
    # all of them: one fits, so the others are told, and nothing has failed
    done = cli("verify", small, "--device", mine)
    assert done.code == 0
    assert "c float32: needs " in done.out
    kept = {
        one.scheme: {
            found["verdict"] for found in one.entry["devices"] if found["device"] == "mine"
        }
        for one in open_bundle(small).artifacts
    }
    assert kept == {"float32": {"does not fit"}, "full-int8": {"pass"}}


def test_what_goes_wrong_leaves_the_bundle_as_it_was(
    cli: RunCli, small: Path, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device_or_skip("stm32f405")
    before = tree(small)
    gone = cli("verify", small, "--device", "bluepill", "--on", "serial:/dev/none")
    assert gone.complaint == "the port /dev/none cannot be opened: No such file or directory"
    assert (
        "expected emulator, serial:PORT"
        in cli("verify", small, "--device", "bluepill", "--on", "usb").misuse
    )
    assert (
        "has no c float16; it has c float32, full-int8"
        in cli("verify", small, "--device", "bluepill", "--scheme", "float16").misuse
    )
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "qemu-system-arm"
    script.write_text("#!/bin/sh\necho broken >&2\nexit 7\n")
    script.chmod(0o700)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        died = cli("verify", small, "--device", "stm32f405", "--scheme", "full-int8")
    assert died.complaint == "qemu-system-arm ended before it was done, with code 7: broken"
    with monkeypatch.context() as patch:
        patch.setattr("gatelet.devices.emulators.shutil.which", lambda name: None)
        missing = cli("verify", small, "--device", "stm32f405")
    assert missing.complaint == (
        "qemu-system-arm is not installed here: apt-get install qemu-system-arm"
    )
    assert tree(small) == before


def test_what_nobody_can_build_is_not_verified(cli: RunCli, small: Path) -> None:
    done = cli("verify", small, "--device", "esp32-s3")
    assert done.code == 1
    assert "c full-int8: not built: no compiler in Debian" in done.out


def test_a_bundle_without_c_is_refused(cli: RunCli, bundle: Path) -> None:
    done = cli("verify", bundle, "--device", "pico")
    assert "has no c artifact, and only C is verified on devices: convert with" in done.complaint
