"""Builds the self-test of a model for a device: compiled, and linked to the device's sizes.

Not the running of it: see `emulators.py`. Nothing here reads a bundle.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template

from gatelet.devices.compilers import Compiler
from gatelet.devices.elf import section_bytes
from gatelet.devices.profile import DeviceProfile
from gatelet.devices.toolchains import AVR, GCC, LINUX, MACHINES, TOOLCHAINS, ZIG, Machine
from gatelet.errors import CompilerFailed, DoesNotFit

FIRMWARE = Path(__file__).parent / "firmware"

FLAGS = ("-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
"""Of a model's source, as in the CMakeLists.txt that a bundle has, beside the processor's own."""

_SECTIONS = ("-ffunction-sections", "-fdata-sections")
_WIDE_BYTES = 32 << 20
"""Of flash and of RAM, to find out how much is needed."""
_WIDE_AVR_BYTES = 4 << 20
_PAINTED_BYTES = 64 << 10
_STORED = (".isr", ".harness", ".text", ".rodata", ".ARM.exidx", ".weights", ".data")
_VARIABLES = (".data", ".bss", ".noinit")


@dataclass(frozen=True)
class Case:
    """A model as the self-test takes it.

    Args:
        prefix: Of its C names.
        source: Its C source, which includes the header.
        source_sha256: Of the source.
        header_name: As the source includes it.
        header: The header.
        weights: The blob.
        inputs: 32-bit numbers of each input, of one row, or of one timestep with `steps`.
        outputs: Likewise of each output.
        types: Of the inputs in C: 'int32_t' or 'float'.
        sizes: The largest of each size that a row leaves open; of steps one for each.
        steps: Rows are fed timestep by timestep.
    """

    prefix: str
    source: bytes
    source_sha256: str
    header_name: str
    header: bytes
    weights: bytes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    types: tuple[str, ...]
    sizes: tuple[int, ...] = ()
    steps: bool = False

    def places(self) -> tuple[int, ...]:
        """Return where each input begins among the inputs, and each output among the outputs."""
        return (*_starts(self.inputs), *_starts(self.outputs))

    def to_header(self) -> str:
        """Return what tells `selftest.c` of the model."""
        lower, upper = self.prefix, self.prefix.upper()
        counts = ", ".join(map(str, (1, *self.sizes)))
        given = f"(const {self.types[0]} *)inputs[0]" if len(self.inputs) == 1 else "inputs"
        made = "outputs[0]" if len(self.outputs) == 1 else "outputs"
        run = f"{lower}_run({lower}_weights, inputs, sizes, 1, outputs, scratch)"
        step = f"{lower}_step({lower}_weights, {given}, 1, 1, {made}, state, scratch)"
        form = "STEP_" if self.steps else ""
        values = {
            "SOURCE": f'"{self.source_sha256[:12]}"',
            "INPUTS": len(self.inputs),
            "OUTPUTS": len(self.outputs),
            "INPUT_WORDS": sum(self.inputs),
            "OUTPUT_WORDS": sum(self.outputs),
            "PLACES": f"{{{', '.join(map(str, self.places()))}}}",
            "SIZES": 0 if self.steps else len(self.sizes),
            "STEPS": int(self.steps),
            "SCRATCH_BYTES": f"{upper}_{form}SCRATCH_BYTES({counts})",
            "STATE_BYTES": f"{upper}_STATE_BYTES(1)",
            "RUN": step if self.steps else run,
            "RESET": f"{lower}_reset(state, 1)" if self.steps else "(void)0",
            "CHECK": f"{lower}_check({lower}_weights, {upper}_WEIGHTS_BYTES)",
        }
        lines = [f"#define CASE_{name} {value}" for name, value in values.items()]
        return "\n".join([f'#include "{self.header_name}"', *lines, ""])


def _starts(counts: Sequence[int]) -> Iterator[int]:
    start = 0
    for count in counts:
        yield start
        start += count


@dataclass(frozen=True)
class Built:
    """A self-test that was linked.

    Args:
        program: The ELF file.
        archive: The model and its weights as a static library.
        sections: Bytes of each section that takes memory.
        compiler: As it tells its version.
        flags: What the model's source was compiled with.
        scratch_bytes: Of the model, for one row of the largest sizes.
        state_bytes: What it carries between steps; 0 of whole rows.
    """

    program: bytes
    archive: bytes
    sections: Mapping[str, int]
    compiler: str
    flags: tuple[str, ...]
    scratch_bytes: int
    state_bytes: int

    @property
    def flash_bytes(self) -> int:
        """What is stored on the device."""
        return sum(self.sections.get(one, 0) for one in _STORED)

    @property
    def variable_bytes(self) -> int:
        """RAM without the stack."""
        return sum(self.sections.get(one, 0) for one in _VARIABLES)

    @property
    def code_bytes(self) -> int:
        """Code and constants without weights and the self-test's own."""
        return sum(self.sections.get(one, 0) for one in (".text", ".rodata", ".ARM.exidx"))


def build(
    case: Case,
    profile: DeviceProfile,
    compiler: Compiler,
    folder: Path,
    *,
    script: str = "",
) -> Built:
    """Build a self-test that the device has room for.

    Args:
        case: The model.
        profile: The device: its flash, RAM and stack are the linker's.
        compiler: For its processor.
        folder: For temporary files; its path has no quotes.
        script: What the host sends, of machines that take no input.

    Raises:
        DoesNotFit: By how many bytes; `facts` has them: what, needed, offered.
        CompilerFailed: The compiler refuses the source.
    """
    cpu = TOOLCHAINS[profile.cpu]
    # what is alone too large is not compiled; on an AVR, constants are in the RAM
    where = ("RAM", profile.ram_bytes) if cpu.start == AVR else ("flash", profile.flash_bytes)
    refuse(where[0], len(case.weights), where[1], profile, "at least ")
    objects = _compile(case, profile, compiler, folder, script)
    made = folder / _MADE
    if cpu.start == LINUX:
        words = ["-nostdlib", "-s", "-Wl,--gc-sections", "-o", _MADE, *objects, "-lcompiler_rt"]
        compiler.run(words, folder=folder)
        return _built(made, compiler, profile)
    machine = memory_of(profile)
    # once with more than enough, which tells how much is needed
    _link(objects, machine, profile, compiler, folder, wide=True)
    needed = _built(made, compiler, profile)
    check_sizes(profile, needed)
    _link(objects, machine, profile, compiler, folder, wide=False)
    return _built(made, compiler, profile)


def memory_of(profile: DeviceProfile) -> Machine:
    """Return the machine whose memory map a device's programs are linked for."""
    return MACHINES[profile.emulator if profile.is_emulated else TOOLCHAINS[profile.cpu].machine]


def has_room(profile: DeviceProfile, built: Built) -> bool:
    """Return whether what emulates a device has room for a program that fits the device."""
    machine = memory_of(profile)
    stored = built.flash_bytes
    if machine.weights:
        stored -= built.sections.get(".weights", 0)
    return not machine.flash or stored <= machine.flash[1]


def _own_flash(machine: Machine, flash: int) -> int:
    """Return the flash beside what holds the weights: all of it, where nothing else does."""
    return min(flash, machine.flash[1]) if machine.weights else flash


def check_sizes(profile: DeviceProfile, built: Built) -> None:
    """Refuse what the device has no room for.

    Raises:
        DoesNotFit: It needs more flash, or more RAM with the stack.
    """
    refuse("flash", built.flash_bytes, profile.flash_bytes, profile)
    refuse("RAM", built.variable_bytes + profile.stack_bytes, profile.ram_bytes, profile)


def refuse(what: str, needed: int, offered: int, profile: DeviceProfile, least: str = "") -> None:
    """Raise DoesNotFit where more is needed than offered; `least` is '' or 'at least '."""
    if needed > offered:
        raise DoesNotFit(
            f"needs {least}{needed:,} bytes of {what}; profile '{profile.name}' offers "
            f"{offered:,} (over by {needed - offered:,})",
            what=what,
            needed=needed,
            offered=offered,
        )


def _built(made: Path, compiler: Compiler, profile: DeviceProfile) -> Built:
    data = made.read_bytes()
    try:
        sections = section_bytes(data)
        own = section_bytes(made.with_name("selftest.o").read_bytes())
    except ValueError as error:
        raise CompilerFailed(f"what {compiler.version} linked is wrong: {error}") from error
    sections[".weights"] = sections.get(".weights", 0) + sections.pop(".gatelet_weights", 0)
    flags = (*_shown(compiler), *FLAGS, *profile.flags)
    buffers = (own.get(".bss.scratch", 0), own.get(".bss.state", 0))
    archive = compiler.archive("model.a", ["model.o", "weights.o"], folder=made.parent)
    return Built(data, archive, sections, compiler.version, flags, *buffers)


def _shown(compiler: Compiler) -> tuple[str, ...]:
    """Return the flags of a processor, without paths."""
    return tuple(word for word in compiler.command[1:] if "/" not in word and word != "cc")


def _compile(
    case: Case, profile: DeviceProfile, compiler: Compiler, folder: Path, script: str
) -> list[str]:
    """Compile into the folder, and return the names of the objects."""
    start = TOOLCHAINS[profile.cpu].start
    (folder / "model.c").write_bytes(case.source)
    (folder / case.header_name).write_bytes(case.header)
    (folder / "case.h").write_text(case.to_header(), "utf-8")
    (folder / "weights.bin").write_bytes(case.weights)
    section = ".gatelet_weights" if start == LINUX else ".rodata.gatelet_weights"
    digest = hashlib.sha256(case.weights).hexdigest()
    text = _WEIGHTS.format(section=section, prefix=case.prefix, digest=digest)
    (folder / "weights.c").write_text(text, "utf-8")
    lines = "\n".join(f'    "{line}\\n"' for line in script.splitlines()) or '""'
    (folder / "script.h").write_text(f"static const char script[] PROGMEM =\n{lines};\n", "utf-8")
    common = [*FLAGS, *_SECTIONS]
    if start != AVR:
        common += ["-ffreestanding", "-isystem", str(FIRMWARE / "include")]
    if start == AVR:
        common += ["-DF_CPU=16000000UL"]
    own = [f"-I{FIRMWARE}", "-I."]
    alone = "-fno-tree-loop-distribute-patterns"
    if compiler.kind == ZIG:
        # the buffers keep sections of their own, whose bytes are told
        own += ["-mllvm", "-enable-global-merge=false"]
        alone = "-fno-builtin"
    sources = {
        "model.o": [*profile.flags, "model.c"],
        "selftest.o": [*own, "-Os", str(FIRMWARE / "selftest.c")],
        "start.o": [*own, "-Os", str(FIRMWARE / f"start_{start}.c")],
        "weights.o": ["weights.c"],
    }
    if start != AVR:
        sources["memory.o"] = [alone, str(FIRMWARE / "memory.c")]
    for name, words in sources.items():
        compiler.run([*common, "-c", *words, "-o", name], folder=folder)
    return list(sources)


def _link(
    objects: Sequence[str],
    machine: Machine,
    profile: DeviceProfile,
    compiler: Compiler,
    folder: Path,
    *,
    wide: bool,
) -> None:
    """Link to the device's sizes, or with room for everything."""
    flash, ram, stack = profile.flash_bytes, profile.ram_bytes, profile.stack_bytes
    words = ["-Wl,--gc-sections", "-o", _MADE]
    if TOOLCHAINS[profile.cpu].start == AVR:
        # the symbols that avr-libc's linker script has for this
        wanted = (_WIDE_AVR_BYTES, _WIDE_AVR_BYTES) if wide else (flash, ram - stack)
        sizes = dict(zip(("TEXT", "DATA"), wanted, strict=True))
        words += [f"-Wl,--defsym=__{name}_REGION_LENGTH__={n}" for name, n in sizes.items()]
        compiler.run([*words, *objects], folder=folder)
        return
    script = Template((FIRMWARE / "link.ld").read_text("utf-8")).substitute(
        flash_origin=hex(machine.flash[0]),
        flash_bytes=_WIDE_BYTES if wide else _own_flash(machine, flash),
        ram_origin=hex(machine.ram[0]),
        ram_bytes=_WIDE_BYTES if wide else min(ram, machine.ram[1]),
        weights_memory=_WEIGHTS_MEMORY.format(*machine.weights) if machine.weights else "",
        weights_place="WEIGHTS" if machine.weights else "FLASH",
        device_flash_bytes=_WIDE_BYTES if wide else flash,
        stack_bytes=stack,
        painted_bytes=_PAINTED_BYTES,
    )
    (folder / "link.ld").write_text(script, "utf-8")
    # gcc 12 finds its library for RISC-V by the name without zicsr
    command = tuple(word.removesuffix("_zicsr") for word in compiler.command)
    library = "-lgcc" if compiler.kind == GCC else "-lcompiler_rt"
    words += ["-nostdlib", "-s", "-Tlink.ld", *objects, library]
    replace(compiler, command=command).run(words, folder=folder)


_MADE = "selftest.elf"
_WEIGHTS_MEMORY = "    WEIGHTS (r) : ORIGIN = {0:#x}, LENGTH = {1}"
# zig keeps what it compiled by its text, and does not see what .incbin reads: hence the digest
_WEIGHTS = """\
/* {digest} */
__asm__(".section {section},\\"a\\",%progbits\\n"
        ".balign 64\\n"
        ".global {prefix}_weights\\n"
        "{prefix}_weights:\\n"
        ".incbin \\"weights.bin\\"\\n");
"""
