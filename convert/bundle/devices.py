"""Keeps in a bundle's manifest what was found out about its artifacts on devices.

Not the finding out: see `gatelet.convert.onboard`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gatelet.convert.bundle.writer import locked, manifest_text
from gatelet.errors import OutputError
from gatelet.runtime.bundle.opening import MANIFEST, Bundle
from gatelet.runtime.files import write_atomically


def add_device(entry: dict[str, Any], found: Mapping[str, Any]) -> None:
    """Put what was found on a device into an artifact's entry, in the place of what was before."""
    others = [one for one in entry.get("devices", []) if one["device"] != found["device"]]
    entry["devices"] = sorted([*others, dict(found)], key=lambda one: str(one["device"]))


def _add_run(entry: dict[str, Any], run: Mapping[str, Any] | None) -> None:
    """Add a run to those by which parity judged an artifact's bytes; of other bytes to none."""
    judged = entry.get("parity", {}).get("judged", {})
    same = judged.get("verdict") == "pass" and judged.get("sha256") == entry["sha256"]
    if run is not None and same and run not in judged.setdefault("runs", []):
        judged["runs"].append(run)


def record(
    bundle: Bundle,
    found: Mapping[str, Mapping[str, Any]],
    *,
    judged: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    runs: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Write what was found out into the manifest, whole or not at all.

    Args:
        bundle: As it was verified.
        found: The entry for the device, by the scheme of the c artifact.
        judged: What is said of the bytes of files, by their paths.
        runs: Where the weights of an artifact passed, by its scheme.

    Raises:
        OutputError: The bundle was replaced meanwhile, or cannot be written; it is as it was.
    """
    path = Path(bundle.path) / MANIFEST
    try:
        with locked(bundle.path):
            manifest = json.loads(path.read_bytes())
            if manifest != bundle.manifest:
                raise OutputError(
                    f"the bundle '{bundle.path}' was replaced while it was verified: verify it "
                    "again",
                    path=str(path),
                )
            for one in manifest["files"]:
                one |= {"judged": judged[one["path"]]} if one["path"] in judged else {}
            for entry in manifest["artifacts"]:
                if entry["target"] == "c" and entry["scheme"] in found:
                    add_device(entry, found[entry["scheme"]])
                    _add_run(entry, runs.get(entry["scheme"]))
            write_atomically(path, manifest_text(manifest))
    except OSError as error:
        raise OutputError(
            f"cannot write the bundle '{bundle.path}': {error.strerror or error}",
            path=str(bundle.path),
        ) from error
