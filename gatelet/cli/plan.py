"""`gatelet plan`.

Not the planning, which is `gatelet.convert.onboard.plan`.
"""

import argparse
import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gatelet.cli.ending import ended_in_order
from gatelet.cli.evaluate import add_data, read_data
from gatelet.cli.show import format_figure, print_json, print_line, print_table, progress
from gatelet.convert.onboard.plan import (
    EMULATED,
    MEASURED,
    MODEL,
    Figure,
    Offer,
    Planner,
    first_that_passes,
)
from gatelet.convert.onboard.plan_picture import plan_svg
from gatelet.convert.onboard.verify import c_artifacts
from gatelet.devices import profile_names, read_profile
from gatelet.devices.profile import DeviceProfile
from gatelet.errors import ConfigError
from gatelet.runtime.backends.c.cache import own_folder
from gatelet.runtime.bundle.opening import Bundle, is_bundle, open_bundle
from gatelet.runtime.files import check_output_file, write_atomically
from gatelet.runtime.stages import temporary_folder
from gatelet.runtime.terminal import one_line

EXAMPLE = "gatelet plan demo --device bluepill --device pico --latency-ms 50"

_MARKS = {MEASURED: "", EMULATED: " e", MODEL: " ~"}
_COLUMNS = (
    ("flash", "flash_bytes"),
    ("code", "code_bytes"),
    ("weights", "weights_bytes"),
    ("RAM", "ram_bytes"),
    ("scratch", "scratch_bytes"),
    ("state", "state_bytes"),
    ("stack", "stack_bytes"),
    ("instructions", "instructions"),
    ("at least ms", "least_ms"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "model",
        type=Path,
        metavar="MODEL|BUNDLE",
        help="a bundle with c artifacts; or a run or Keras file, which is converted to all schemes "
        "of c in a temporary folder",
    )
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        metavar="NAME",
        help="see gatelet devices; or the path of a profile of your own; repeatable; all of them "
        "by default",
    )
    parser.add_argument(
        "--flash", type=int, metavar="N", help="bytes of flash that may be used at most"
    )
    parser.add_argument(
        "--ram", type=int, metavar="N", help="bytes of RAM that may be used at most, with the stack"
    )
    parser.add_argument(
        "--latency-ms",
        type=float,
        metavar="N",
        help="milliseconds that a row may take: what needs more even at the highest clock is out",
    )
    add_data(parser, required=False)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Plan, and exit 1 where nothing fits."""
    latency: float | None = arguments.latency_ms
    if latency is not None and not (latency > 0 and math.isfinite(latency)):
        raise ConfigError(f"--latency-ms is {latency:g}, expected a number above 0")
    if arguments.svg is not None:
        check_output_file(arguments.svg)
    names = dict.fromkeys(arguments.device or profile_names())
    profiles = [
        _limited(read_profile(name), flash=arguments.flash, ram=arguments.ram) for name in names
    ]
    with ended_in_order(), _bundle(arguments) as bundle:
        planner = Planner(bundle, latency, cache=own_folder() / "zig", progress=progress)
        offers = planner.offers(c_artifacts(bundle), profiles)
        first = first_that_passes(offers)
        if arguments.json:
            told = None if first is None else {"device": first.device, "scheme": first.scheme}
            print_json({"offers": [one.to_dict() for one in offers], "first": told})
        else:
            _print(offers, first)
        if arguments.svg is not None:
            write_atomically(arguments.svg, plan_svg(offers, title=bundle.name))
            progress(f"wrote {arguments.svg}")
    return 0 if any(one.fits for one in offers) else 1


@contextlib.contextmanager
def _bundle(arguments: argparse.Namespace) -> Iterator[Bundle]:
    """Open the bundle, or make one of a model for as long as it is needed."""
    path: Path = arguments.model
    if is_bundle(path):
        yield open_bundle(path)
        return
    from gatelet.convert.conversion import convert_with_report

    data = read_data(arguments, require_labels=False) if arguments.data else None
    with temporary_folder() as folder:
        bundle, _ = convert_with_report(
            path,
            folder / (path.stem or "model"),
            targets=("c",),
            schemes=("all",),
            data=data,
            with_keras=False,
            progress=progress,
        )
        yield bundle


def _limited(profile: DeviceProfile, *, flash: int | None, ram: int | None) -> DeviceProfile:
    """Return a device of which no more may be used than some bytes."""
    return replace(
        profile,
        flash_bytes=profile.flash_bytes if flash is None else min(flash, profile.flash_bytes),
        ram_bytes=profile.ram_bytes if ram is None else min(ram, profile.ram_bytes),
    )


def _print(offers: Sequence[Offer], first: Offer | None) -> None:
    rows = [
        (
            one.device,
            f"c {one.scheme}",
            one.form,
            one.short or _fits(one),
            *(_shown(one.figures.get(key)) for _, key in _COLUMNS),
            one.parity + (f", {one.on_device} there" if one.on_device else ""),
            format_figure(one.lost),
        )
        for one in offers
    ]
    titles = (title for title, _ in _COLUMNS)
    print_table(("device", "artifact", "form", "fits", *titles, "parity", "lost"), rows)
    print_line(
        "no mark: measured, in files and in what was linked; e: emulated; ~: by the cost model; "
        "at least ms: a lower bound, instructions of a row / clock"
    )
    if first is not None:
        print_line(one_line(f"first that fits and passes: c {first.scheme} on {first.device}"))
    elif any(one.fits for one in offers):
        timed = all(one.is_timed for one in offers)
        print_line("nothing that fits has passed parity" + ("" if timed else " in time"))
    else:
        print_line("nothing fits")


def _fits(offer: Offer) -> str:
    fits = "fits" if "flash_bytes" in offer.figures else "weights fit"
    return fits if offer.is_timed else f"{fits}, time unknown"


def _shown(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    value = figure.value
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
    return f"{text}{_MARKS[figure.origin]}"
