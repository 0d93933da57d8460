"""`gatelet devices`.

Not the profiles, which are files in `gatelet.devices`.
"""

import argparse
from dataclasses import asdict

from gatelet.cli.show import print_json, print_line, print_table
from gatelet.devices import DeviceProfile, profile_names, read_profile
from gatelet.devices.toolchains import TOOLCHAINS

EXAMPLE = "gatelet devices raspberry-pi-4"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="show more about this one: a name, or a .toml file"
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """List the devices, or show one."""
    names = (arguments.name,) if arguments.name else profile_names()
    profiles = [read_profile(name) for name in names]
    if arguments.json:
        print_json(asdict(profiles[0]) if arguments.name else [asdict(one) for one in profiles])
    elif arguments.name:
        _show(profiles[0])
    else:
        rows = [(one.name, one.platform, ", ".join(one.targets), one.title) for one in profiles]
        print_table(("device", "platform", "targets", ""), rows)
    return 0


def _show(one: DeviceProfile) -> None:
    print_line(f"device     {one.name}: {one.title}")
    print_line(
        f"platform   {one.platform}, {one.threads} processor{'s' if one.threads > 1 else ''}"
    )
    cpu = TOOLCHAINS[one.cpu]
    print_line(f"targets    {', '.join(one.targets)}, the preferred one first")
    print_line(f"packages   {', '.join(one.packages)}")
    for name, key, text in (
        ("cpu", "cpu", f"{cpu.title}, floats {one.floats}, simd {one.simd}"),
        ("clock", "clock_hz", f"{one.clock_hz / 1e6:g} MHz"),
        ("flash", "flash_bytes", f"{one.flash_bytes:,} bytes"),
        ("RAM", "ram_bytes", f"{one.ram_bytes:,} bytes"),
        ("stack", "stack_bytes", f"{one.stack_bytes:,} bytes of the RAM"),
    ):
        print_line(f"{name:10} {text} ({one.sources[key]})")
    where = one.stand_in if one.is_emulated else f"nothing; not built: {cpu.without}"
    print_line(f"emulated   {where}")
    print_line()
    print_line(f"next: gatelet convert RUN --out BUNDLE --device {one.name}")
