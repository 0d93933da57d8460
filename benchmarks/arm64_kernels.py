"""Instructions of a call on aarch64, beside those of onnxruntime's arm64 wheel.

    python benchmarks/arm64_kernels.py WORK

The quickstart's shape with seeded weights over 100 real tokens, one thread, under qemu-aarch64
`-cpu cortex-a53` and `-cpu max`. Every engine runs in Debian's arm64 Python with kept buffers: the
c library that a bundle has (by ctypes), and onnxruntime's and numpy's own wheels. A plugin of QEMU
(arm64_count.c) counts instructions: those of a process with 110 calls, less those of one with 10,
divided by 100.

The exit status is 1 where dynamic-int8 on `max`, which has dot products, takes more than 0.55 of
what it takes on cortex-a53, gives other bits there, or takes no less on either than the better of
onnxruntime's float32 and dynamic-int8.

Fetches what it needs into WORK, once: Debian's packages by apt-get, the wheels by pip. Needs
qemu-user, ziglang and a C compiler.
"""

import argparse
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from device_kernels import quickstart

from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.passes import skip_padding
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES

HERE = Path(__file__).parent
BASELINE, DOT_PRODUCTS = "cortex-a53", "max"
FEW, MANY = 10, 110
DOT_PRODUCT_SHARE = 0.55
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
DEBS = ("python3.11", "python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "libgomp1")
WHEELS = ("onnxruntime", "numpy", "flatbuffers", "protobuf")
# onnxruntime and numpy look for the processor there, and do not begin without
CPUINFO = """\
processor\t: 0
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 4

"""
ENGINES = {
    "c dynamic-int8": ("c", "weights.bin"),
    "onnxruntime float32": ("onnx", "float32.onnx"),
    "onnxruntime dynamic-int8": ("onnx", "dynamic-int8.onnx"),
}
OURS, *THEIRS = ENGINES


def run(command: list[str], **more: str) -> str:
    """Run a program; return what it prints."""
    done = subprocess.run(
        command, env={**os.environ, **more}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def fetch_python(work: Path) -> Path:
    """Unpack Debian's arm64 Python into a folder, leaving this machine's packages alone."""
    root = work / "root"
    if (root / "proc/cpuinfo").exists():
        return root
    state = work / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    own = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::State": f"{state}/state",
        "Dir::State::status": f"{state}/status",
        "Dir::Cache": f"{state}/cache",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    apt = ["apt-get", *(word for key, value in own.items() for word in ("-o", f"{key}={value}"))]
    run([*apt, "update"])
    run([*apt, "install", "-y", "--no-install-recommends", "--download-only", *DEBS])
    for package in sorted((state / "cache/archives").glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(root)])
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(CPUINFO)
    return root


def fetch_wheels(work: Path) -> Path:
    """Unpack arm64 wheels, of the versions in constraints.txt."""
    site = work / "site"
    if site.exists():
        return site
    pins = (HERE.parent / "constraints.txt").read_text()
    wanted = [re.search(rf"^{name}==\S+", pins, re.MULTILINE) for name in WHEELS]
    names = [one.group() for one in wanted if one]
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    of = [word for one in PLATFORMS for word in ("--platform", one)]
    run([*pip, *of, "--python-version", "3.11", "-d", str(work / "wheels"), *names])
    for wheel in (work / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(work / "site.part")
    return (work / "site.part").rename(site)


def write_models(work: Path) -> None:
    """Write the model as each engine takes it, and its row."""
    case = quickstart()
    model = Exportable(
        case.graph,
        skip_padding(case.graph, timesteps=case.row.shape[1]),
        name="model",
        calibration=Calibration({case.input: case.calibration}, "seeded"),
        platforms=("aarch64-linux",),
    )
    exported = export_c(model, SCHEMES["dynamic-int8"])
    (work / "weights.bin").write_bytes(exported.data)
    (library,) = (one for one in exported.companions if one.role == "library:aarch64-linux")
    (work / "library.so").write_bytes(library.data)
    for scheme in ("float32", "dynamic-int8"):
        (work / f"{scheme}.onnx").write_bytes(export_onnx(case.graph, SCHEMES[scheme]).data)
    np.save(work / "ids.npy", case.row)
    run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(work / "count.so"), f"{HERE}/arm64_count.c"])


def count(work: Path, processor: str, engine: str, calls: int) -> tuple[int, str]:
    """Return the instructions of a process that calls so often, and the scores' bits."""
    root, site = fetch_python(work), fetch_wheels(work)
    log = work / "count.txt"
    kind, file = ENGINES[engine]
    emulator = ["qemu-aarch64", "-cpu", processor, "-L", str(root), "-d", "plugin"]
    words = [str(HERE / "arm64_calls.py"), kind, str(work), file, str(calls)]
    said = run(
        [
            *(*emulator, "-D", str(log), "-plugin", str(work / "count.so")),
            *(str(root / "usr/bin/python3.11"), "-X", "frozen_modules=on", *words),
        ],
        PYTHONPATH=f"{site}:{HERE.parent}",
        PYTHONHOME=str(root / "usr"),
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONHASHSEED="0",
        OPENBLAS_NUM_THREADS="1",
    )
    return int(log.read_text()), said.strip()


def main() -> int:
    """Print the table; 1 where a line misses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work.absolute()
    work.mkdir(exist_ok=True)
    write_models(work)
    took: dict[tuple[str, str], float] = {}
    bits: dict[tuple[str, str], str] = {}
    for processor in (BASELINE, DOT_PRODUCTS):
        for engine in ENGINES:
            few, many = (count(work, processor, engine, calls) for calls in (FEW, MANY))
            took[processor, engine] = (many[0] - few[0]) / (MANY - FEW)
            bits[processor, engine] = many[1]
            print(f"{processor:11} {engine:25} {took[processor, engine]:14,.0f}", flush=True)
    share = took[DOT_PRODUCTS, OURS] / took[BASELINE, OURS]
    print(f"dot products: {share:.3f} of the baseline, bits {bits[BASELINE, OURS]}")
    wrong = []
    if share > DOT_PRODUCT_SHARE:
        wrong.append(f"{share:.3f} of the baseline > {DOT_PRODUCT_SHARE}")
    if bits[BASELINE, OURS] != bits[DOT_PRODUCTS, OURS]:
        wrong.append(f"other bits with dot products: {bits[DOT_PRODUCTS, OURS]}")
    for processor in (BASELINE, DOT_PRODUCTS):
        best = min(took[processor, one] for one in THEIRS)
        if took[processor, OURS] >= best:
            wrong.append(f"{processor}: {took[processor, OURS]:,.0f}, onnxruntime {best:,.0f}")
    for one in wrong:
        print(f"MISSED {one}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
