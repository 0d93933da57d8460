"""Reads and writes the manifest of a bundle as a file, for tests that damage it."""

import json
from pathlib import Path
from typing import Any

from gatelet.runtime.bundle.manifest import MANIFEST


def manifest_of(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / MANIFEST).read_bytes())
    return found


def write(bundle: Path, manifest: object) -> None:
    (bundle / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def files_of(bundle: Path) -> list[str]:
    manifest = manifest_of(bundle)
    return [entry["path"] for entry in (*manifest["files"], *manifest["artifacts"])]
