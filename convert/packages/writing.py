"""A package in its folder: whole, or the folder is as it was.

Not what is in it: see `gatelet.convert.packages.forms`.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gatelet
from gatelet.convert.packages.filling import TEMPLATES
from gatelet.convert.packages.forms import FORMS, write_files
from gatelet.convert.packages.package import Package
from gatelet.convert.packages.readme import license_text, readme
from gatelet.runtime.bundle.device_figures import entries_of
from gatelet.runtime.stages import check_output_directory, replace_directory, stage_beside

MARKER = "gatelet-package.json"
"""The file that says that a folder is a package of gatelet's, which may be replaced."""


def check_place(out: Path) -> None:
    """Refuse a folder that is neither absent, empty nor a package.

    Raises:
        OutputError: It is something else, or cannot be written.
    """
    check_output_directory(out, marker=MARKER, kind="package", flag="DIR")


def write_package(package: Package, form: str, out: Path) -> dict[str, Any]:
    """Write a package.

    Args:
        package: What it holds.
        form: A key of FORMS.
        out: The folder: absent, empty, or a package, which is replaced.

    Returns:
        What the marker says.

    Raises:
        OutputError: The folder cannot be written; it is as it was.
    """
    check_place(out)
    with stage_beside(out, marker=MARKER) as stage:
        files = {name: _bytes(data) for name, data in write_files(package, form).items()}
        files["README.md"] = _bytes(readme(package, form, FORMS[form].told, files))
        files["LICENSE"] = _bytes(license_text(package, files))
        files["LICENSE-APACHE.txt"] = (TEMPLATES / "LICENSE-APACHE.txt").read_bytes()
        marker = _marker(package, form, files)
        for name, data in files.items():
            place = stage / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        (stage / MARKER).write_text(json.dumps(marker, indent=1) + "\n", "utf-8")
        replace_directory(stage, out)
    return marker


def _bytes(data: str | bytes) -> bytes:
    return data if isinstance(data, bytes) else data.encode("utf-8")


def _marker(package: Package, form: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    artifact = package.artifact
    return {
        "form": form,
        "name": package.name,
        "version": package.version,
        "license": package.license or None,
        "gatelet": gatelet.__version__,
        "bundle": package.bundle.name,
        "target": artifact.target,
        "scheme": artifact.scheme,
        "prefix": package.prefix,
        "artifact_sha256": artifact.sha256,
        "verdict": artifact.verdict,
        "memory": package.memory.to_dict(),
        "devices": [dict(one) for one in entries_of(package.bundle, artifact)],
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
