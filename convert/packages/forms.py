"""The forms of packages: what an ecosystem's own tool accepts as a folder.

A form of C files is a row here and a folder of templates with its name; in the path of a template
NAME is the package's. Another form has a function that writes all of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from gatelet.convert.packages.described import described
from gatelet.convert.packages.filling import TEMPLATES, fill
from gatelet.convert.packages.micropython import write_micropython
from gatelet.convert.packages.package import Package
from gatelet.convert.packages.programs import programs

Files = Mapping[str, str | bytes]
"""Of a package, by their path in it, with forward slashes."""

_SELF_TEST = ("selftest.c", "golden.h")
_HOST = (*_SELF_TEST, "example.c", "stream.c", "print.h", "text.h", "step.h")
_BOARD = ("LINES", "print.h")
"""LINES is what takes a line of a serial port: text.h or step.h. MAIN is the program around it."""
_TAKES = ({"LINES": "text.h", "MAIN": "example.c"}, {"LINES": "step.h", "MAIN": "stream.c"})


@dataclass(frozen=True)
class Form:
    """What a package is for.

    Args:
        told: Whom it is for, in a few words.
        sources: The folder of the C files; '' for the package's own.
        programs: The names of programs, by the folder that they are in; what a model has none
            of, such as streams, is left out. A folder without its first one is left out.
        header: Programs include NAME.h: the folder of headers is one of many.
        write: Writes all files but LICENSE, README.md and the marker; None for C files.
    """

    told: str
    sources: str = "src"
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    header: bool = True
    write: Callable[[Package], Files] | None = None


FORMS: Mapping[str, Form] = {
    "c": Form("any C compiler", sources="", programs={"": _HOST}, header=False),
    "cmake": Form("CMake projects", programs={"examples": _HOST}),
    "arduino": Form(
        "the Arduino IDE and arduino-cli",
        programs={"examples/SelfTest": ("golden.h",), "examples/Predict": _BOARD},
    ),
    "platformio": Form(
        "PlatformIO",
        programs={
            "examples/selftest": _SELF_TEST,
            "examples/predict": ("example.c", "print.h", "text.h"),
            "examples/stream": ("stream.c", "print.h", "step.h"),
        },
    ),
    "esp-idf": Form(
        "ESP-IDF",
        programs={"examples/selftest/main": _SELF_TEST, "examples/predict/main": ("MAIN", *_BOARD)},
    ),
    "zephyr": Form("Zephyr", programs={"samples/selftest/src": _SELF_TEST}),
    "micropython": Form("MicroPython", write=write_micropython),
    "cmsis-pack": Form("tools of CMSIS-Packs", programs={"examples/selftest": _SELF_TEST}),
}
"""By what `--to` is given."""


def write_files(package: Package, name: str) -> dict[str, str | bytes]:
    """Return all files of a package but LICENSE, README.md and the marker.

    Args:
        package: What it holds.
        name: A key of FORMS.
    """
    form = FORMS[name]
    if form.write is not None:
        return dict(form.write(package))
    place = f"{form.sources}/" if form.sources else ""
    made: dict[str, str | bytes] = {f"{place}{n}": text for n, text in package.sources.items()}
    if form.header:
        made[f"{place}{package.name}.h"] = fill("umbrella.h", package.values)
    written = programs(package, header=f"{package.name}.h" if form.header else "model.h")
    takes = next((one for one in _TAKES if one["LINES"] in written), {})
    for folder, names in form.programs.items():
        known = [takes.get(one, one) for one in names]
        if known[0] in written:
            there = (one for one in known if one in written)
            made |= {str(PurePosixPath(folder, one)): written[one] for one in there}
    values = {**package.values, **described(package, made, takes)}
    return made | _filled(name, values, made)


def _filled(name: str, values: Mapping[str, object], made: Files) -> dict[str, str]:
    """Fill the templates of a form, but those of examples that there are not."""
    root, found = TEMPLATES / name, {}
    for path in sorted(one for one in root.rglob("*") if one.is_file()):
        place = PurePosixPath(path.relative_to(root).as_posix())
        told = dict(values)
        if place.parts[0] in ("examples", "samples"):
            folder = PurePosixPath(*place.parts[:2])
            sources = [one for one in made if folder in PurePosixPath(one).parents]
            if not sources:
                continue
            told["example"] = folder.name
            main = next((one for one in sources if one.endswith(".c")), "")
            told["example_source"] = PurePosixPath(main).name
        found[str(place).replace("NAME", str(values["name"]))] = fill(f"{name}/{place}", told)
    return found
