"""How each processor is compiled for and emulated: one row an architecture, one a machine.

Not the compilers themselves, which `compilers.py` finds and runs.
"""

from dataclasses import dataclass

GCC, ZIG = "gcc", "zig"

ARM, RISCV, AVR, LINUX = "arm", "riscv", "avr", "linux"
"""Forms of start-up: the files `firmware/start_*.c`."""


@dataclass(frozen=True)
class Machine:
    """What emulates boards.

    Args:
        program: The emulator.
        package: Debian's name for what installs it.
        core: What it emulates, for people.
        words: What follows the program's name; {cpu} and {clock_hz} are filled in.
        flash: Where programs lie, and how many bytes there are; () of a system with a loader.
        ram: Likewise.
        weights: Likewise, of a board that keeps them elsewhere; () where they lie in the flash.
        counts: Whether it counts instructions.
    """

    program: str
    package: str
    core: str
    words: tuple[str, ...]
    flash: tuple[int, ...] = ()
    ram: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    counts: bool = True


_QUIET = ("-display", "none", "-monitor", "none", "-serial", "none", "-parallel", "none")
_SYSTEM = (*_QUIET, "-semihosting-config", "enable=on,target=native", "-icount", "shift=0")
_MIB = 1 << 20


def _arm(name: str, core: str, flash: tuple[int, int], ram: tuple[int, int]) -> Machine:
    words = ("-M", name, *_SYSTEM, "-kernel")
    return Machine("qemu-system-arm", "qemu-system-arm", core, words, flash, ram)


def _user(name: str, core: str) -> Machine:
    return Machine(f"qemu-{name}", "qemu-user", core, ("-cpu", "{cpu}"), counts=False)


MACHINES = {
    "microbit": _arm("microbit", "Cortex-M0", (0, 256 << 10), (0x20000000, 16 << 10)),
    "mps2-an385": _arm("mps2-an385", "Cortex-M3", (0, 4 * _MIB), (0x20000000, 4 * _MIB)),
    "mps2-an386": _arm("mps2-an386", "Cortex-M4F", (0, 4 * _MIB), (0x20000000, 4 * _MIB)),
    "netduinoplus2": _arm(
        "netduinoplus2", "Cortex-M4F", (0x08000000, _MIB), (0x20000000, 128 << 10)
    ),
    "mps2-an500": _arm("mps2-an500", "Cortex-M7", (0, 4 * _MIB), (0x20000000, 4 * _MIB)),
    "mps2-an505": _arm("mps2-an505", "Cortex-M33", (0x10000000, 4 * _MIB), (0x38000000, 4 * _MIB)),
    "mps3-an547": Machine(
        "qemu-system-arm",
        "qemu-system-arm",
        "Cortex-M55",
        ("-M", "mps3-an547", *_SYSTEM, "-kernel"),
        flash=(0, 512 << 10),
        ram=(0x20000000, 512 << 10),
        weights=(0x21000000, 4 * _MIB),
    ),
    "riscv32-virt": Machine(
        "qemu-system-riscv32",
        "qemu-system-misc",
        "RV32GC",
        ("-M", "virt", "-bios", "none", *_SYSTEM, "-kernel"),
        flash=(0x80000000, 64 * _MIB),
        ram=(0x84000000, 64 * _MIB),
    ),
    "simavr": Machine(
        "simavr", "simavr", "AVR", ("-m", "{cpu}", "-f", "{clock_hz}"), (0, 256 << 10), (0, 8 << 10)
    ),
    "qemu-aarch64": _user("aarch64", "AArch64"),
    "qemu-arm": _user("arm", "ARM"),
    "qemu-riscv64": _user("riscv64", "RV64GC"),
    "qemu-x86_64": _user("x86_64", "x86-64"),
}
"""By name. Of the emulators for Linux boards, the program is one that needs no system files."""


@dataclass(frozen=True)
class Toolchain:
    """How a processor is compiled for.

    Args:
        title: For people.
        start: ARM, RISCV, AVR or LINUX.
        machine: Of MACHINES: what emulates it, where its profile names no other; '' for nothing.
        gcc: The compiler, and the package that installs it; () where Debian has none.
        gcc_flags: Its flags for this processor.
        zig_flags: Those of `zig cc`; () where it has no such target.
        emulated: The processor's name for the emulator; '' where the machine says it.
        without: Why nothing is built, in a few words; '' where something is.
        prefers: GCC or ZIG, whichever makes the faster code.
    """

    title: str
    start: str
    machine: str
    gcc: tuple[str, ...] = ()
    gcc_flags: tuple[str, ...] = ()
    zig_flags: tuple[str, ...] = ()
    emulated: str = ""
    without: str = ""
    prefers: str = GCC


_FAST, _SMALL = "-O2", "-Os"
"""At -O2 clang unrolls loops: twice the code of a Cortex-M4F for 3 % of the instructions.

With Helium it is worth that: dynamic-int8 of a small LSTM takes half the instructions of -Os.
"""

_ARM_GCC = ("arm-none-eabi-gcc", "gcc-arm-none-eabi")
_FUSED = "-slowfpvfmx-slowfpvmlx"
_RISCV_GCC = ("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf")


def _cortex_m(
    title: str, machine: str, gcc: str, zig: str, *, floats: str = "", prefers: str = GCC
) -> Toolchain:
    hard = ("-mfloat-abi=hard", *([f"-mfpu={floats}"] if floats != "mve" else [])) if floats else ()
    abi = "eabihf" if floats else "eabi"
    level = _FAST if prefers == ZIG else _SMALL
    return Toolchain(
        title,
        ARM,
        machine,
        _ARM_GCC,
        (f"-mcpu={gcc}", "-mthumb", *hard, _FAST),
        ("-target", f"thumb-freestanding-{abi}", f"-mcpu={zig}", level),
        prefers=prefers,
    )


def _rv32(title: str, march: str, zig: str, *, abi: str = "ilp32") -> Toolchain:
    # this gcc assembles with zicsr, and finds its library without
    gcc = (f"-march={march}_zicsr", f"-mabi={abi}", "-mcmodel=medany", _FAST)
    flags = ("-target", "riscv32-freestanding", f"-mcpu=generic_rv32{zig}", f"-mabi={abi}", _SMALL)
    return Toolchain(title, RISCV, "riscv32-virt", _RISCV_GCC, gcc, flags)


def _linux(title: str, machine: str, target: str, cpu: str, emulated: str) -> Toolchain:
    flags = ("-target", target, f"-mcpu={cpu}", "-static", _FAST)
    return Toolchain(title, LINUX, machine, zig_flags=flags, emulated=emulated)


# zig's cortex_m4 and its like have no floating-point unit, with eabihf too, and say nothing of it;
# that of M4 and M33 takes VMUL and VADD for a VFMA unless it is told that none of them is slow
TOOLCHAINS = {
    "cortex-m0": _cortex_m("Cortex-M0", "microbit", "cortex-m0", "cortex_m0"),
    "cortex-m0plus": _cortex_m("Cortex-M0+", "mps2-an385", "cortex-m0plus", "cortex_m0plus"),
    "cortex-m3": _cortex_m("Cortex-M3", "mps2-an385", "cortex-m3", "cortex_m3"),
    "cortex-m4f": _cortex_m(
        "Cortex-M4F",
        "mps2-an386",
        "cortex-m4",
        f"cortex_m4+vfp4d16sp{_FUSED}",
        floats="fpv4-sp-d16",
    ),
    "cortex-m7": _cortex_m(
        "Cortex-M7", "mps2-an500", "cortex-m7", "cortex_m7+fp_armv8d16sp", floats="fpv5-d16"
    ),
    "cortex-m33": _cortex_m(
        "Cortex-M33",
        "mps2-an505",
        "cortex-m33",
        f"cortex_m33+fp_armv8d16sp+dsp{_FUSED}",
        floats="fpv5-sp-d16",
    ),
    "cortex-m55": _cortex_m(
        "Cortex-M55", "mps3-an547", "cortex-m55", "cortex_m55+mve_fp", floats="mve", prefers=ZIG
    ),
    "rv32imc": _rv32("RV32IMC", "rv32imc", "+m+c-a-f-d"),
    "rv32imac": _rv32("RV32IMAC", "rv32imac", "+m+a+c-f-d"),
    "rv32imafc": _rv32("RV32IMAFC", "rv32imafc", "+m+a+f+c-d", abi="ilp32f"),
    "avr6": Toolchain(
        "AVR6",
        AVR,
        "simavr",
        ("avr-gcc", "gcc-avr avr-libc"),
        ("-mmcu=atmega2560", _FAST),
        emulated="atmega2560",
    ),
    "arm1176": _linux(
        "ARM1176JZF-S", "qemu-arm", "arm-linux-musleabihf", "arm1176jzf_s", "arm1176"
    ),
    "cortex-a7": _linux("Cortex-A7", "qemu-arm", "arm-linux-musleabihf", "cortex_a7", "cortex-a7"),
    "cortex-a8": _linux("Cortex-A8", "qemu-arm", "arm-linux-musleabihf", "cortex_a8", "cortex-a8"),
    "cortex-a53": _linux(
        "Cortex-A53", "qemu-aarch64", "aarch64-linux-musl", "cortex_a53", "cortex-a53"
    ),
    "cortex-a72": _linux(
        "Cortex-A72", "qemu-aarch64", "aarch64-linux-musl", "cortex_a72", "cortex-a72"
    ),
    "cortex-a76": _linux(
        "Cortex-A76", "qemu-aarch64", "aarch64-linux-musl", "cortex_a76", "cortex-a76"
    ),
    "rv64gc": _linux("RV64GC", "qemu-riscv64", "riscv64-linux-musl", "baseline_rv64", "rv64"),
    "x86-64": _linux("x86-64", "qemu-x86_64", "x86_64-linux-musl", "x86_64", "qemu64"),
    "xtensa-lx6": Toolchain("Xtensa LX6", "", "", without="no compiler in Debian"),
    "xtensa-lx7": Toolchain("Xtensa LX7", "", "", without="no compiler in Debian"),
}
"""By the `cpu` of a profile."""
