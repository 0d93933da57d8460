"""One tiny model on each core that is emulated: built, run, and compared to the bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.onboard.verdict import Verdict
from gatelet.convert.onboard.verify import Trial, c_artifacts, verify
from gatelet.devices import profile_names, read_profile
from gatelet.devices.toolchains import TOOLCHAINS
from gatelet.runtime.bundle.opening import open_bundle
from tests.devices.conftest import PROFILES, SCHEMES, question
from tests.fixture_types import WriteBundle

pytestmark = pytest.mark.ci  # each compiles two models, and runs an emulator

CORES = {
    "cortex-m0": "microbit-v1",
    "cortex-m0plus": "pico",
    "cortex-m3": "bluepill",
    "cortex-m4f": "stm32f405",
    "cortex-m7": "nucleo-h743",
    "cortex-m33": "stm32u585",
    "cortex-m55": "corstone-300",
    "rv32imc": "esp32-c3",
    "rv32imac": "gd32vf103",
    "rv32imafc": "esp32-p4",
    "avr6": "mega-2560",
    "arm1176": "raspberry-pi-1",
    "cortex-a7": "raspberry-pi-2",
    "cortex-a8": "beaglebone-black",
    "cortex-a53": "raspberry-pi-3",
    "cortex-a72": "raspberry-pi-4",
    "cortex-a76": "raspberry-pi-5",
    "rv64gc": "riscv64-linux",
    "x86-64": "x86-64-linux",
}


def test_each_core_has_a_device_that_is_run() -> None:
    emulated = {
        read_profile(name).cpu for name in profile_names() if read_profile(name).is_emulated
    }
    assert emulated == set(CORES)
    assert {read_profile(name).cpu for name in CORES.values()} == set(CORES)


@pytest.mark.parametrize("cpu", CORES)
def test_a_core_gives_the_scores_of_this_machine(cpu: str, written: Path) -> None:
    schemes = ("full-int8",) if cpu == "avr6" else ("float32", "full-int8")
    # gcc needs two seconds where zig builds a library first
    compiler = "gcc" if TOOLCHAINS[cpu].gcc else "zig"
    for scheme in schemes:
        asked = question(written, CORES[cpu], compiler=compiler)
        (artifact,) = c_artifacts(asked.bundle, [scheme])
        found = verify(asked, artifact)
        assert found.verdict == "pass", found
        _look_at(found, bare=asked.profile.is_bare)


def test_helium_gives_the_bits_of_plain_c_in_fewer_instructions(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    artifacts = (("c", "full-int8"),)
    # more features than Helium takes at once
    wide = write_bundle(tmp_path / "wide", features=40, artifacts=artifacts, with_vectorizer=False)
    asked = question(wide, "corstone-300", compiler="gcc")
    (artifact,) = c_artifacts(asked.bundle)
    plain = replace(asked, profile=replace(asked.profile, flags=("-DGATELET_PLAIN",)))
    found = [verify(one, artifact) for one in (asked, plain)]
    assert [one.verdict for one in found] == ["pass", "pass"]
    assert [one.same_bits for one in found] == [one.numbers for one in found]
    assert found[0].count["row"] < 0.7 * found[1].count["row"]


def test_both_compilers_tell_the_same_buffers(written: Path, tmp_path: Path) -> None:
    told = set()
    for compiler in ("gcc", "zig"):
        asked = question(written, "esp32-c3", compiler=compiler)
        (artifact,) = c_artifacts(asked.bundle, ["full-int8"])
        built = Trial(asked, artifact, steps=False).build(tmp_path)
        told.add((built.scratch_bytes, built.state_bytes))
    ((scratch_bytes, _),) = told
    assert scratch_bytes > 100


def _look_at(found: Verdict, *, bare: bool) -> None:
    """Look whether a verdict has its figures, and that integers are the same to the bit."""
    assert found.rows >= 8
    assert found.numbers == found.rows
    assert found.largest_difference is not None
    if found.scheme == "full-int8":
        assert (found.same_bits, found.limit, found.largest_difference) == (found.numbers, 0, 0)
    else:
        assert found.largest_difference <= 1e-6
    assert found.stack_bytes is not None
    assert 100 < found.stack_bytes < 20_000
    assert found.flash_bytes is not None
    assert found.weights_bytes is not None
    assert found.weights_bytes > 500 or found.cpu == "avr6"
    assert bool(found.count) == bare
    if bare:
        assert found.count["timesteps"] == 10
        assert 500 < found.count["timestep"] < 1_000_000


def test_rows_that_no_memory_has_room_for_are_fed_step_by_step(
    write_bundle: WriteBundle, tmp_path: Path
) -> None:
    # a row has 8,000 bytes, and the stack 4,096
    artifacts = (("c", "float32"),)
    wide = write_bundle(tmp_path / "wide", features=200, artifacts=artifacts, with_vectorizer=False)
    asked = question(wide, _smaller("bluepill", tmp_path, ram_bytes=9000), compiler="gcc")
    (artifact,) = c_artifacts(asked.bundle, ["float32"])
    found = verify(asked, artifact)
    assert (found.verdict, found.form) == ("pass", "steps")
    assert found.state_bytes
    # every timestep is compared
    assert found.numbers == 10 * found.rows


@pytest.mark.parametrize(
    ("key", "offered", "said"),
    [
        ("flash_bytes", 3000, "bytes of flash; profile 'mine' offers 3,000 (over by "),
        ("flash_bytes", 300, "needs at least "),
        ("ram_bytes", 4200, "bytes of RAM; profile 'mine' offers 4,200 (over by "),
        ("stack_bytes", 300, "bytes of stack; profile 'mine' offers 300 (over by "),
    ],
)
def test_what_does_not_fit_is_refused_by_its_bytes(
    written: Path, tmp_path: Path, key: str, offered: int, said: str
) -> None:
    asked = question(written, _smaller("bluepill", tmp_path, **{key: offered}), compiler="gcc")
    (artifact,) = c_artifacts(asked.bundle, ["full-int8"])
    found = verify(asked, artifact)
    assert found.verdict == "does not fit"
    assert found.note.startswith("needs ")
    assert said in found.note
    assert found.rows == 0
    needed, _, rest = (
        found.note.removeprefix("needs at least ").removeprefix("needs ").partition(" ")
    )
    over = int(rest.rpartition("over by ")[2].rstrip(")").replace(",", ""))
    assert int(needed.replace(",", "")) - offered == over > 0


def test_a_wrong_score_fails(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = question(written, "bluepill", compiler="gcc")
    for scheme in SCHEMES:
        (artifact,) = c_artifacts(asked.bundle, [scheme])
        limit = 0 if scheme == "full-int8" else 1e-5
        with monkeypatch.context() as patch:
            patch.setattr(
                "gatelet.convert.onboard.case._flat",
                lambda outputs, off=2 * limit or 1e-7: (
                    np.asarray(outputs[0], np.float32).reshape(-1) + np.float32(off)
                ),
            )
            found = verify(asked, artifact)
        assert (found.verdict, found.limit) == ("fail", limit)
        assert found.largest_difference
        assert found.same_bits == 0


def test_a_device_that_nothing_emulates_is_linked_to_size(written: Path, tmp_path: Path) -> None:
    path = _smaller("bluepill", tmp_path, emulator='"none"')
    asked = question(written, "bluepill", compiler="gcc")
    asked = replace(asked, profile=read_profile(path))
    (artifact,) = c_artifacts(asked.bundle, ["full-int8"])
    found = verify(asked, artifact)
    assert found.verdict == "not run"
    assert found.note == "compiled and linked to size, not run: nothing emulates STM32F103C8"
    assert found.flash_bytes


def test_a_device_without_a_compiler_is_not_built(written: Path) -> None:
    bundle = open_bundle(written)
    asked = question(written, "x86-64-linux")
    asked = replace(asked, profile=read_profile("esp32"), bundle=bundle)
    found = verify(asked, c_artifacts(bundle)[0])
    assert (found.verdict, found.note) == ("not run", "not built: no compiler in Debian")


def _smaller(name: str, folder: Path, **values: object) -> str:
    """Write a profile like another, with other figures."""
    lines = (PROFILES / f"{name}.toml").read_text().splitlines()
    kept = [line for line in lines if line.split(" = ")[0] not in values]
    path = folder / "mine.toml"
    path.write_text("\n".join([*kept, *(f"{key} = {value}" for key, value in values.items())]))
    return str(path)
