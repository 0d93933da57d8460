"""The libraries that --device puts into a bundle: opened and run under qemu-user.

Not the source on other processors, which is in test_c_processors.py.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.c.build import ZIG_TARGETS, build_libraries, compilers, run_compiler
from gatelet.convert.exporters.c.source import KERNELS
from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import CompilerFailed
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.backends.reference import ReferenceBackend
from tests.convert.exporters.c_builds import small_graph

PROGRAM = Path(__file__).with_name("c_opens_library.c")
TIMESTEPS = 9
SYSTEMS = {
    "aarch64-linux": ("aarch64-linux-gnu", "ld-linux-aarch64.so.1", "qemu-aarch64"),
    "armv7-linux": ("arm-linux-gnueabihf", "ld-linux-armhf.so.3", "qemu-arm"),
}
"""By platform: the name of its system, the loader, the emulator."""


@pytest.fixture(scope="module")
def model() -> Exportable:
    graph = small_graph(vocabulary=200, units=40)
    skipping = skip_padding(graph, timesteps=TIMESTEPS)
    return Exportable(graph, skipping, name="m", platforms=tuple(SYSTEMS))


@pytest.fixture(scope="module")
def exported(model: Exportable) -> Exported:
    return export_c(model, SCHEMES["float32"])


@pytest.mark.parametrize("platform", SYSTEMS)
def test_the_library_of_a_device_gives_the_references_scores(
    model: Exportable, exported: Exported, platform: str, tmp_path: Path
) -> None:
    ids = np.random.default_rng(4).integers(0, 200, (11, TIMESTEPS)).astype(np.int32)
    ids[:6, :4] = 0
    found = run_emulated(exported, platform, ids, tmp_path)
    expected = ReferenceBackend(model.graph).run({"ids": ids})[model.graph.outputs[0]][:, 0]
    assert np.abs(found - expected).max() < 1e-6


@pytest.mark.ci
def test_dot_products_give_the_bits_of_the_baseline(tmp_path: Path) -> None:
    graph = small_graph(vocabulary=200, units=40)
    model = Exportable(graph, graph, name="m", platforms=("aarch64-linux",))
    exported = export_c(model, SCHEMES["dynamic-int8"])
    ids = np.random.default_rng(4).integers(0, 200, (11, TIMESTEPS)).astype(np.int32)
    baseline, chosen = (
        run_emulated(exported, "aarch64-linux", ids, tmp_path, "-cpu", processor)
        for processor in ("cortex-a53", "max")
    )
    assert np.ptp(baseline) > 1e-3 and (baseline == chosen).all()
    (library,) = (o for o in exported.companions if o.role == "library:aarch64-linux")
    # SDOT of four words: of every vector register
    words = np.frombuffer(library.data[: len(library.data) // 4 * 4], np.uint32)
    assert ((words & 0xFFE0FC00) == 0x4E809400).sum() >= 8


def test_a_bundle_has_a_library_for_each_device_and_this_machine(exported: Exported) -> None:
    roles = {one.role for one in exported.companions if one.role.startswith("library:")}
    assert roles == {f"library:{one}" for one in (*SYSTEMS, host_platform())}


def test_another_platform_needs_ziglang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "gatelet.convert.exporters.c.build.compilers", lambda: {"cc": ["/usr/bin/cc"]}
    )
    monkeypatch.setattr("gatelet.convert.exporters.c.build._build", lambda *given: b"")
    with pytest.raises(CompilerFailed, match="aarch64-linux need ziglang: pip install ziglang"):
        build_libraries("", "", ["aarch64-linux"])


def run_emulated(exported: Exported, platform: str, ids: Any, folder: Path, *processor: str) -> Any:
    """Run rows through a library under qemu-user, with Debian's C library of that system."""
    system, loader, emulator = SYSTEMS[platform]
    root = Path("/usr") / system
    if shutil.which(emulator) is None or not (root / "lib" / loader).exists():
        pytest.skip(f"no {platform}: apt-get install qemu-user libc6-arm64-cross libc6-armhf-cross")
    (library,) = (one for one in exported.companions if one.role == f"library:{platform}")
    (folder / "library.so").write_bytes(library.data)
    (folder / "weights.bin").write_bytes(exported.data)
    (folder / "ids.bin").write_bytes(ids.tobytes())
    program = folder / "program"
    flags = ("-target", ZIG_TARGETS[platform].replace("musl", "gnu"), "-nostdlib", "-O1")
    given = (f"-DTIMESTEPS={TIMESTEPS}", f"-I{KERNELS}", "-fno-sanitize=all", "-fno-builtin")
    linked = (str(root / "lib" / "libc.so.6"), f"-Wl,--dynamic-linker=/lib/{loader}")
    files = ("-o", str(program), str(PROGRAM))
    run_compiler([*compilers()["zig"], *flags, *given, *files, *linked])
    done = subprocess.run(
        [emulator, *processor, "-L", str(root), str(program)],
        cwd=folder,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return np.frombuffer(done.stdout, np.float32)
