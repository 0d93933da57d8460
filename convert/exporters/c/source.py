"""The C files of a model: kernels and calls in one source, its header, an example.

Not what the calls are: see `gatelet.convert.exporters.c.export`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import numpy as np

_HERE = Path(__file__).parent
KERNELS = _HERE / "kernels"
_TEMPLATES = _HERE / "templates"
_OWN_INCLUDE = re.compile(r'^#include "([a-z_0-9]+\.h)"\n', re.MULTILINE)

_DECLARED = re.compile(r"GATELET_KERNEL (?:const )?(?:struct )?\w+ \*?(gatelet_\w+)\(")

# what each kernel file needs, in an order that compiles
_ORDER = (
    "vectorizer",
    "activations",
    "rounding",
    "product_int8",
    "product_int16",
    "product_bytes",
    "product",
    "recurrence",
    "lstm",
    "gru",
    "simple_rnn",
    "convolution",
    "conv_lstm",
    "layers",
    "masks",
    "integer",
    "integer_elements",
    "run",
    "windows",
)
_NEEDS = {
    "layers": ("product",),
    "product_int8": ("rounding",),
    "product_int16": ("rounding",),
}


TARGETS_OF_CMAKE = (
    "all",
    "all_build",
    "clean",
    "edit_cache",
    "help",
    "install",
    "package",
    "package_source",
    "rebuild_cache",
    "run_tests",
    "test",
    "zero_check",
)
"""Of every project, so that no library can be called so."""


def prefix_of(name: str) -> str:
    """Return the prefix of all C names for a model called `name`."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower().encode("ascii", "ignore").decode()).strip("_")
    taken = plain in TARGETS_OF_CMAKE or plain.startswith("gatelet") or plain[:1].isdigit()
    return f"model_{plain}".rstrip("_") if taken or not plain else plain


def fill(name: str, values: Mapping[str, object]) -> str:
    """Fill a template; a name without a value is an error."""
    text = Template((_TEMPLATES / name).read_text("utf-8"))
    return text.substitute({key: str(value) for key, value in values.items()})


def kernel_text(kernels: set[str]) -> str:
    """Return the kernels, each once, with the headers that they need, as one text."""
    needed = set(kernels)
    for kernel in kernels:
        needed.update(_NEEDS.get(kernel, ()))
    files = [f"{name}.c" for name in _ORDER if name in needed]
    seen: set[str] = set()
    return "\n".join(
        # some are inline altogether
        _with_headers(one if (KERNELS / one).exists() else f"{one[:-2]}.h", seen)
        for one in files
    )


def all_kernels_text() -> str:
    """Return all kernels as one text, for an object file that models are linked with."""
    return kernel_text(set(_ORDER))


def kernel_headers_text() -> str:
    """Return the headers of all kernels as one text, for a model that is linked with them."""
    seen: set[str] = set()
    return "\n".join(_with_headers(f"{name}.h", seen) for name in _ORDER if f"{name}.h" not in seen)


def levels_text() -> str:
    """Return what chooses among the x86-64 levels of a library: not a kernel, but beside them."""
    return _with_headers("levels.c", set())


def kernel_names() -> list[str]:
    """Return the names of all kernels' functions."""
    return sorted(set(_DECLARED.findall(kernel_headers_text())))


def kinds_of(header: str) -> list[str]:
    """Return the names of activations, and of recurrences, that a kernel's header enumerates."""
    text = (KERNELS / header).read_text("utf-8")
    enums = re.findall(r"^enum (?:\w+_activation\w* )?\{(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^    (GATELET_\w+)", "".join(enums), re.MULTILINE)


def _with_headers(name: str, seen: set[str]) -> str:
    """Put each header of ours where it is first included."""

    def include(found: re.Match[str]) -> str:
        header = found.group(1)
        if header in seen:
            return ""
        return _with_headers(header, seen)

    seen.add(name)
    return _OWN_INCLUDE.sub(include, (KERNELS / name).read_text("utf-8"))


def c_bytes(data: bytes) -> str:
    """Write bytes as the initializer of an array."""
    return ", ".join(f"0x{byte:02x}" for byte in data)


def c_string(lines: Sequence[str]) -> str:
    """Write lines as one C string."""
    written = (json.dumps(line + "\n", ensure_ascii=True) for line in lines)
    return "\n    ".join(one.replace("?", "\\?") for one in written) or '""'  # no trigraphs


def comment(text: str) -> str:
    """Make a text safe inside a C comment."""
    plain = re.sub(r"[^\x20-\x7e]+", " ", text).replace("\\", "/")
    return re.sub(r"(?<=[*])(?=/)|(?<=/)(?=[*])|(?<=[?])(?=[?])", " ", plain)


def initializer(fields: Mapping[str, object]) -> str:
    """Return the initializer of a struct in C, by the names of its fields."""
    return f"{{{', '.join(f'.{name} = {text}' for name, text in fields.items())}}}"


def number(value: float) -> str:
    """Write a float so that C reads the same float32."""
    single = np.float32(value)
    if np.isnan(single):
        return "(0.0f / 0.0f)"
    if np.isinf(single):
        return "(1.0f / 0.0f)" if single > 0 else "(-1.0f / 0.0f)"
    text = f"{float(single):.9g}"
    return f"{text}f" if any(mark in text for mark in ".e") else f"{text}.0f"
