"""`gatelet export`.

Not the export to a target, which `gatelet convert` does: a package is made of a bundle.
"""

import argparse
from pathlib import Path

from gatelet.cli.show import print_json, print_line, print_table
from gatelet.convert.packages import FORMS, check_place, open_package, write_package
from gatelet.convert.packages.readme import memory_rows, verdict
from gatelet.runtime.terminal import one_line

EXAMPLE = "gatelet export demo --to arduino GateletDemo --scheme full-int8"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a bundle with a c artifact")
    parser.add_argument(
        "out",
        type=Path,
        metavar="DIR",
        help="absent, empty, or an earlier export, which is replaced",
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="FORM",
        choices=FORMS,
        help="; ".join(f"{name}: {one.told}" for name, one in FORMS.items()),
    )
    parser.add_argument(
        "--scheme",
        metavar="S",
        help="one that the bundle has for c; default: what predict --target c uses",
    )
    parser.add_argument("--name", help="of the package; default: what its C names begin with")
    parser.add_argument(
        "--package-version", default="1.0.0", metavar="V", help="of the package; default: 1.0.0"
    )
    parser.add_argument(
        "--license",
        metavar="SPDX",
        help="of weights and vocabulary, such as CC-BY-4.0; default: their owner is to be asked",
    )
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Write the package."""
    check_place(arguments.out)
    package = open_package(
        arguments.bundle,
        scheme=arguments.scheme,
        name=arguments.name,
        version=arguments.package_version,
        license_=arguments.license,
    )
    marker = write_package(package, arguments.to, arguments.out)
    if arguments.json:
        print_json({"path": str(arguments.out), **marker})
        return 0
    told = FORMS[arguments.to].told
    print_line(f"{one_line(str(arguments.out))}: '{package.name}' {package.version} for {told}")
    print_line(verdict(package).replace("**", ""))
    if FORMS[arguments.to].write is None:  # what C needs
        print_table(("memory", "where", "bytes"), memory_rows(package))
    return 0
