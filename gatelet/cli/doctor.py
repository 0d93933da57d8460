"""`gatelet doctor`.

Not the diagnosis, which is `gatelet.runtime.measure.doctor`.
"""

import argparse
from pathlib import Path

from gatelet.cli.show import print_json, print_line, print_table
from gatelet.runtime.measure.doctor import Diagnosis, diagnose
from gatelet.runtime.terminal import one_line

EXAMPLE = "gatelet doctor demo"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, nargs="?", metavar="BUNDLE", help="try it here too")
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Report what this machine can run; 1 if nothing can."""
    found = diagnose(arguments.bundle)
    if arguments.json:
        print_json(found.to_dict())
    else:
        _show(found)
    return 0 if found.is_well else 1


def _show(found: Diagnosis) -> None:
    here = found.machine
    print_line(
        f"machine    {here.system} {here.architecture}{', ' if here.libc else ''}{here.libc}, "
        f"Python {here.python}, {here.processors} processors"
    )
    print_line(f"features   {', '.join(here.features) or 'not known'}")
    print_line()
    rows = [
        (one.target, one.engine, one.version or "-", one.problem or "works")
        for one in found.backends
    ]
    print_table(("target", "engine", "version", "state"), rows)
    for command in dict.fromkeys(one.command for one in found.backends if one.command):
        print_line(f"  for more engines: {command}")
    if found.bundle is None:
        return
    print_line()
    print_line(f"bundle     {one_line(found.bundle)}")
    checked = [
        (one.target, one.scheme, one.parity, "yes" if one.runs else "no") for one in found.artifacts
    ]
    print_table(("target", "scheme", "parity", "runs here"), checked)
    for one in found.artifacts:
        if one.problem:
            advice = f": {one.advice}" if one.advice else ""
            print_line(f"  {one.target} {one.scheme}: {one_line(one.problem)}{advice}")
