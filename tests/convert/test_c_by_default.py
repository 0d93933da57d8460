"""The target c by default: where a C compiler is missing or broken, and where it may write."""

import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatelet.convert import convert
from gatelet.errors import CompilerFailed
from gatelet.runtime.backends import host
from gatelet.runtime.backends.c.cache import own_folder
from gatelet.runtime.backends.host import host_platform

COMPILERS = "gatelet.convert.exporters.c.build.compilers"
pytestmark = pytest.mark.usefixtures("no_tensorflow")


@pytest.mark.parametrize(
    ("compilers", "why"),
    [
        ({}, "there is no C compiler here: pip install ziglang"),
        ({"cc": ["false"]}, "the C compiler refuses the model's source"),
        ({"cc": ["/no/such/cc"]}, "the C compiler /no/such/cc cannot be run"),
    ],
    ids=["none", "broken", "gone"],
)
def test_without_a_compiler_c_is_left_out_unless_it_is_asked_for(
    small_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    compilers: dict[str, list[str]],
    why: str,
) -> None:
    monkeypatch.setattr(COMPILERS, lambda: compilers)
    said: list[str] = []
    bundle = convert(small_run, tmp_path / "b", schemes=["float32"], progress=said.append)
    assert bundle.artifacts and "c" not in {one.target for one in bundle.artifacts}
    told = [line for line in said if "leaving out" in line]
    assert told[-1].startswith(f"leaving out c: {why}")
    assert len([line for line in told if "out c:" in line]) == 1
    with pytest.raises(CompilerFailed, match=why):
        convert(small_run, tmp_path / "c", targets=["c", "onnx"], schemes=["float32"])
    assert not (tmp_path / "c").exists()


def test_where_the_users_cache_cannot_be_written_a_private_folder_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GATELET_CACHE", str(tmp_path / "file" / "inside"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = own_folder()
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert own_folder() == folder
    folder.chmod(0o777)
    other = own_folder()
    assert other != folder and other.parent == tmp_path
    assert stat.S_IMODE(other.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("machine", "largest", "named"),
    [
        ("aarch64", 2**63 - 1, "aarch64"),
        ("aarch64", 2**31 - 1, "armv7"),  # a 32-bit system on a Raspberry Pi's 64-bit kernel
        ("armv7l", 2**31 - 1, "armv7"),
        ("AMD64", 2**63 - 1, "x86_64"),
        ("x86_64", 2**31 - 1, "i686"),
        ("armv6l", 2**31 - 1, "armv6l"),
    ],
)
def test_a_machine_is_named_by_what_its_python_can_open(
    monkeypatch: pytest.MonkeyPatch, machine: str, largest: int, named: str
) -> None:
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(machine=machine))
    monkeypatch.setattr(
        f"{host.__name__}.described_processor", lambda: "Features\t: half neon vfpv4"
    )
    monkeypatch.setattr(sys, "maxsize", largest)
    assert host_platform() == f"{named}-{sys.platform}"
    monkeypatch.setattr(f"{host.__name__}.described_processor", lambda: "Features\t: half vfpv3d16")
    without = f"{named}-without-neon" if named == "armv7" else named
    assert host_platform() == f"{without}-{sys.platform}"
