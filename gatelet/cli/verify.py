"""`gatelet verify`.

Not the building and running, which are `gatelet.convert.onboard` and `gatelet.devices`.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from gatelet.cli.ending import ended_in_order
from gatelet.cli.evaluate import add_data, read_data
from gatelet.cli.show import format_figure, print_json, print_line, print_table, progress
from gatelet.convert.bundle.devices import record
from gatelet.convert.onboard.judged import artifact_runs, judged_files
from gatelet.convert.onboard.rows import rows_for
from gatelet.convert.onboard.verdict import FAIL, NOT_RUN, PASS, TOO_LARGE, Verdict
from gatelet.convert.onboard.verify import Question, c_artifacts, fitting, verify_all
from gatelet.convert.onboard.ways import parse_way
from gatelet.devices import read_profile
from gatelet.devices.profile import DeviceProfile
from gatelet.runtime.backends.c.cache import own_folder
from gatelet.runtime.bundle.opening import Bundle, open_bundle
from gatelet.runtime.terminal import one_line

EXAMPLE = "gatelet verify demo --device nano-33-ble"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, metavar="BUNDLE")
    parser.add_argument(
        "--device",
        required=True,
        metavar="NAME",
        help="see gatelet devices; or the path of a profile of your own, a .toml file",
    )
    parser.add_argument(
        "--on",
        default="emulator",
        metavar="WAY",
        help="emulator, which is the default; serial:PORT, a board that has the self-test; or "
        "ssh:HOST, a Linux board",
    )
    parser.add_argument(
        "--scheme",
        action="append",
        default=[],
        metavar="NAME",
        help="verify this c artifact; repeatable; all of them by default",
    )
    add_data(parser, required=False)
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Verify the c artifacts on a device, and keep the verdicts in the bundle.

    Exits 1 where one fails, and where none fits or none could be run.
    """
    profile, way = read_profile(arguments.device), parse_way(arguments.on)
    bundle = open_bundle(arguments.bundle)
    artifacts = c_artifacts(bundle, arguments.scheme)
    data = read_data(arguments, require_labels=False) if arguments.data else None
    way.check(profile)
    question = Question(
        bundle,
        profile,
        way,
        rows=None if data is None else rows_for(bundle, data),
        cache=own_folder() / "zig",
        progress=progress,
    )
    with ended_in_order():
        found = verify_all(question, artifacts)
        if arguments.scheme and any(one.verdict == TOO_LARGE for one in found):
            others = [a for a in c_artifacts(bundle) if a.scheme not in arguments.scheme]
            found = _with_those_that_fit(found, fitting(question, others))
        if arguments.json:
            print_json([{"scheme": one.scheme, **one.to_manifest()} for one in found])
        else:
            _print(bundle, profile, found)
        record(
            bundle,
            {one.scheme: one.to_manifest() for one in found},
            judged=judged_files(bundle, found),
            runs=artifact_runs(found),
        )
    return 0 if _is_good(found) else 1


def _with_those_that_fit(found: Sequence[Verdict], fits: Sequence[str]) -> list[Verdict]:
    told = ", ".join(fits) or "none of the others"
    return [
        dataclasses.replace(one, note=f"{one.note}; fits: {told}")
        if one.verdict == TOO_LARGE
        else one
        for one in found
    ]


def _is_good(found: Sequence[Verdict]) -> bool:
    """Return whether nothing failed, and something passed or was at least linked to size."""
    linked = any(one.verdict == PASS or (one.verdict == NOT_RUN and one.form) for one in found)
    return linked and not any(one.verdict == FAIL for one in found)


def _print(bundle: Bundle, profile: DeviceProfile, found: Sequence[Verdict]) -> None:
    rows = []
    for one in found:
        each = one.count.get("timestep")
        rows.append(
            (
                f"c {one.scheme}",
                one.form or "-",
                f"{one.rows:,}" if one.rows else "-",
                f"{one.same_bits:,} of {one.numbers:,}" if one.numbers else "-",
                format_figure(one.largest_difference),
                *(
                    "-" if count is None else f"{count:,}"
                    for count in (one.flash_bytes, one.linked_ram_bytes, one.stack_bytes, each)
                ),
                one.verdict,
            )
        )
    for artifact in bundle.artifacts:
        if artifact.target == "tflm" and "tflm" in profile.targets:
            rows.append((f"tflm {artifact.scheme}", *["-"] * 8, NOT_RUN))
    unit = next((str(one.count["unit"]) for one in found if one.count), "instructions")
    header = ("artifact", "form", "rows", "same bits", "max diff", "flash", "RAM", "stack")
    print_table((*header, f"{unit} a timestep", "verdict"), rows)
    for one in found:
        if one.note:
            print_line(one_line(f"c {one.scheme}: {one.note}"))
    for text in dict.fromkeys(
        f"{one.on}; {one.compiler or 'compiled elsewhere'}; source {one.source_sha256[:12]}"
        for one in found
        if one.on and one.verdict in (PASS, FAIL)
    ):
        print_line(one_line(f"on {text}"))
