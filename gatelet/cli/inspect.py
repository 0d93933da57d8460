"""`gatelet inspect`.

Not a check: `gatelet parity` is.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from gatelet.cli.show import print_json, print_line, print_table
from gatelet.cli.show_graph import show_graph
from gatelet.errors import ModelError
from gatelet.runtime.bundle.device_figures import HEADER, rows_of
from gatelet.runtime.bundle.manifest import judged_of
from gatelet.runtime.bundle.opening import MANIFEST, Bundle, is_bundle, open_bundle
from gatelet.runtime.bundle.sizes import Sizes, layers_of, sizes_of
from gatelet.runtime.data.run import MARKER, is_run
from gatelet.runtime.predictor.prediction import check_labels
from gatelet.runtime.terminal import one_line
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

EXAMPLE = "gatelet inspect demo"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", type=Path, metavar="BUNDLE|MODEL", help="a bundle, run or .keras")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="what model.to_json() returned, for a MODEL that holds weights only",
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Show a bundle's manifest, or what converting a Keras model would give.

    Exits 1 where something stands in the way of the conversion.
    """
    path: Path = arguments.model
    if is_bundle(path):
        _show_bundle(path, as_json=arguments.json)
        return 0
    if path.is_dir() and not is_run(path) and not (path / "saved_model.pb").exists():
        raise ModelError(
            f"'{path}' is neither a bundle (it has no {MANIFEST}) nor a run (it has no {MARKER}): "
            "give one of these, or a .keras or .h5 file"
        )
    from gatelet.cli.inspect_model import inspect_model

    return inspect_model(path, config=arguments.config, as_json=arguments.json)


def _show_bundle(path: Path, *, as_json: bool) -> None:
    bundle = open_bundle(path)
    if not bundle.is_opaque:
        check_labels(bundle, bundle.graph())
    if as_json:
        sizes = [one.to_dict() for one in sizes_of(bundle)]
        print_json({**bundle.manifest, "sizes": sizes})
        return
    print_line(f"bundle     {one_line(bundle.name)}, format {bundle.manifest['format_version']}")
    if not bundle.decisions:
        named = one_line(", ".join(bundle.labels)) or "none"
        print_line(f"labels     {named}, threshold {bundle.threshold:g}")
    for one in bundle.decisions:
        print_line(f"decides    {one_line(str(one))}")
    vectorizer = bundle.vectorizer()
    if isinstance(vectorizer, Vectorizer):
        level = "characters" if vectorizer.char_level else "words"
        print_line(
            f"vectorizer {len(vectorizer.vocabulary):,} {level}, {vectorizer.maxlen} timesteps, "
            f"{vectorizer.padding}-padded"
        )
    elif vectorizer is not None:
        print_line(
            f"vectorizer {len(vectorizer.vocabulary):,} tokens of a TextVectorization layer, "
            f"{vectorizer.maxlen} timesteps"
        )
    print_line()
    print_table(
        ("target", "scheme", "bytes", "parity", "operators"),
        [
            (a.target, a.scheme, f"{a.bytes:,}", a.verdict, ", ".join(a.ops))
            for a in bundle.artifacts
        ],
    )
    _show_files(bundle)
    _show_devices(bundle)
    streaming = [f"{one.target} {one.scheme}" for one in bundle.artifacts if one.states]
    if streaming:
        print_line()
        print_line(f"streaming  {one_line(', '.join(streaming))}")
    print_line()
    if not bundle.is_opaque:
        _show_sizes(sizes_of(bundle))
        print_line()
    show_graph(bundle.interface())


def _show_files(bundle: Bundle) -> None:
    """Show how many files were judged, by what, and name the others."""
    entries = [*bundle.manifest["files"]]
    entries += [{**one, **one.get("parity", {})} for one in bundle.manifest["artifacts"]]
    judged = {one["path"]: judged_of(one) for one in entries}
    if not any(judged.values()):
        print_line()
        print_line("files      this manifest is older than verdicts of files")
        return
    told: dict[str, list[str]] = {}
    for path, one in judged.items():
        found = "not run" if one is None or path in bundle.unjudged else str(one["verdict"])
        by = f" by {one.get('by')}" if one is not None and found == "pass" else ""
        told.setdefault(f"{_MEANT.get(found, found)}{by}", []).append(path)
    for what, paths in told.items():
        names = "" if what.startswith("judged by") else f": {', '.join(sorted(paths))}"
        print_line(
            one_line(f"{'files' if what == next(iter(told)) else '':11}{len(paths)} {what}{names}")
        )
    if bundle.doubt:
        print_line(one_line(f"warning: {bundle.doubt}"))


def _show_devices(bundle: Bundle) -> None:
    """Show what was found out on devices, of the source that the bundle has."""
    found = sorted(row for artifact in bundle.artifacts for row in rows_of(bundle, artifact))
    if found:
        print_line()
        print_table(HEADER, found)


_MEANT = {"pass": "judged", "fail": "failed"}


def _show_sizes(found: Sequence[Sizes]) -> None:
    """Show the bytes by layer: the weights in float32, and what the artifacts made of them."""
    columns = [layers_of(one) for one in found]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [
        (
            one_line(layer) or "-",
            kind,
            *(f"{column[layer, kind]:,}" if (layer, kind) in column else "-" for column in columns),
        )
        for layer, kind in sorted(keys, key=lambda key: key[1] == "rest")
    ]
    whole = ("all", "", *(f"{one.bytes:,}" for one in found))
    print_table(("bytes of", "what", *(one.name for one in found)), [*rows, whole])
