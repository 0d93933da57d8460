"""Instructions that a unit's step of integers takes on a Cortex-M4, before and now.

    python benchmarks/integer_cost.py [COMMIT]

Counts what qemu-arm executes for 60 steps and for 20, so that what is done once does not count;
the products are in it, and the same in both. Exit status 1 where a step takes more than before.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from gatelet.convert.exporters.c.build import run_compiler

UNITS, STEPS = 8, (20, 60)
BEFORE = "44c1e5d"
KERNELS = "convert/exporters/c/kernels"
ROOT = Path(__file__).parent.parent
DECLARED = "#include <stddef.h>\n" + "".join(
    f"void *{name}(void *, {taken}, size_t);\n"
    for name, taken in (("memcpy", "const void *"), ("memmove", "const void *"), ("memset", "int"))
)
CELLS = {"LSTM": "GATELET_Q_LSTM", "GRU": "GATELET_Q_GRU"}


def executed(kernels: Path, folder: Path, cell: str, steps: int, *flags: str) -> int:
    """Return how many instructions a program executes."""
    program, log = folder / "program", folder / "log"
    (folder / "string.h").write_text(DECLARED)
    run_compiler(
        [
            *(sys.executable, "-m", "ziglang", "cc", "-target", "thumb-linux-musleabihf"),
            *("-mcpu=cortex_m4+vfp4d16sp", "-O2", "-static", "-nostdlib", "-fno-builtin"),
            *("-fomit-frame-pointer", "-fno-sanitize=all", f"-DCELL={cell}", f"-DSTEPS={steps}"),
            *(*flags, f"-I{folder}", f"-I{kernels}", f"-I{ROOT / 'tests/convert/exporters'}"),
            *("-o", str(program), str(Path(__file__).with_suffix(".c"))),
        ]
    )
    traced = ["-singlestep", "-d", "exec,nochain", "-D", str(log)]
    subprocess.run(["qemu-arm", "-cpu", "max", *traced, str(program)], check=True)
    return sum(1 for line in log.open() if line.startswith("Trace"))


def main(commit: str) -> int:
    """Print the counts; 1 where there are more than before."""
    more = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old = folder / "old"
        old.mkdir()
        listed = ["git", "-C", str(ROOT), "archive", commit, KERNELS]
        archive = subprocess.run(listed, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", str(old)], input=archive, check=True)
        for cell, kind in CELLS.items():
            counts = []
            for kernels, flags in ((old / KERNELS, ("-DBEFORE",)), (ROOT / KERNELS, ())):
                few, many = (executed(kernels, folder, kind, n, *flags) for n in STEPS)
                counts.append((many - few) / (UNITS * (STEPS[1] - STEPS[0])))
            print(
                f"{cell}: {counts[0]:.1f} instructions a unit and step before, {counts[1]:.1f} now"
            )
            more += counts[1] > counts[0]
    return int(more > 0)


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or [BEFORE])))
