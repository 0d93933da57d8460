"""Compiles a model's C source to WebAssembly, with ziglang.

Not the source: see `files`. The module imports nothing, and its memory is exported.
"""

import tempfile
from pathlib import Path

from gatelet.convert.exporters.c.build import compilers, run_compiler
from gatelet.errors import CompilerFailed

_HERE = Path(__file__).parent / "wasm"
_FLAGS = (
    "-std=c11",
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-sanitize=all",
    "-g0",
    "-ffunction-sections",
    "-Wno-everything",
)
_LINK_FLAGS = (
    "-nostdlib",
    "-Wl,--no-entry",
    "-Wl,--gc-sections",
    "-Wl,--export-memory",
    "-Wl,--strip-all",
    # ziglang puts the stack first: beyond it is no memory, so a trap and no wrong answer
    "-Wl,-z,stack-size=262144",
)
KINDS = {"simd": "generic+simd128+bulk_memory", "plain": "generic"}
"""What code is compiled for, the preferred one first."""


def build_wasm(source: str, *, scratch: Path | None = None) -> dict[str, bytes]:
    """Compile a model's single file, with what JavaScript calls at its end.

    Args:
        source: The file.
        scratch: Where temporary files go; None for the system's place.

    Returns:
        The modules, by the keys of KINDS.

    Raises:
        CompilerFailed: ziglang is not installed, or refuses the source.
    """
    zig = compilers().get("zig")
    if zig is None:
        raise CompilerFailed("wasm is compiled with ziglang, which is missing: pip install ziglang")
    made = {}
    with tempfile.TemporaryDirectory(dir=scratch, prefix="gatelet-c-") as name:
        folder = Path(name)
        model, memory = folder / "model.c", folder / "memory.o"
        model.write_text(source, "utf-8")
        for kind, processor in KINDS.items():
            command = [*zig, "-target", "wasm32-freestanding", f"-mcpu={processor}", *_FLAGS]
            output = folder / f"{kind}.wasm"
            own = ["-fno-builtin", "-c", str(_HERE / "memory.c"), "-o", str(memory)]
            run_compiler([*command, *own])
            given = ["-isystem", str(_HERE), "-DGATELET_LIBRARY", str(model), str(memory)]
            run_compiler([*command, *given, *_LINK_FLAGS, "-o", str(output)])
            made[kind] = output.read_bytes()
    return made
