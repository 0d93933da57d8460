"""What the files of an ecosystem say of a package, in its words: names, paths, licenses.

Not README.md, which people read: see `gatelet.convert.packages.readme`.
"""

import json
import re
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from xml.sax.saxutils import escape

from gatelet.convert.packages.package import Package

_CODE_LICENSE = "Apache-2.0"


def described(
    package: Package, made: Collection[str], takes: Mapping[str, str]
) -> dict[str, object]:
    """Return what the templates of forms are filled with.

    Args:
        package: The package.
        made: The paths of its C files and programs.
        takes: What takes a line of a serial port: 'LINES' and 'MAIN'; {} if nothing does.
    """
    values = package.values
    sources = [name for name in package.sources if name.endswith(".c")]
    told = f"The model '{values['title']}' ({values['target_scheme']}), made by gatelet."
    license_ = f"{_CODE_LICENSE} AND {package.license}" if package.license else ""
    examples: dict[str, list[str]] = {}
    for one in made:
        path = PurePosixPath(one)
        if path.parts[0] == "examples":
            examples.setdefault(str(path.parent), []).append(path.name)
    programs = [PurePosixPath(one).stem for one in made if one.startswith("examples/")]
    is_text = takes.get("LINES") == "text.h"
    return {
        "source_paths": " ".join(f"src/{name}" for name in sources),
        "parent_paths": " ".join(f"../src/{name}" for name in sources),
        "program_stems": " ".join(one for one in programs if f"examples/{one}.c" in made),
        "keywords": "\n".join(f"{name}\tKEYWORD2" for name in functions_of(package)),
        "golden_whole": int(not package.memory.state_bytes),
        "line_of": "texts that come as lines" if is_text else "a timestep a line",
        "stream_flag": "" if is_text else " --stream",
        "line_header": takes.get("LINES", ""),
        "line_bytes": 512 if is_text else 256,
        "description_json": json.dumps(told),
        "description_xml": escape(told),
        "license_json": f'  "license": "{license_}",\n' if license_ else "",
        "license_yml": f'license: "{license_}"\n' if license_ else "",
        "examples_json": ", ".join(
            json.dumps({"name": folder.rpartition("/")[2], "base": folder, "files": files})
            for folder, files in examples.items()
        ),
        "pack_sources": "\n".join(
            f'        <file category="sourceC" name="src/{name}"/>' for name in sources
        ),
    }


def functions_of(package: Package) -> list[str]:
    """Return the names of the functions that the header declares."""
    found = re.findall(rf"\b({package.prefix}_[a-z0-9_]+)\(", package.sources["model.h"])
    return list(dict.fromkeys(found))
