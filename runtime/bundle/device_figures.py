"""What a manifest says of artifacts on devices, as tables show it.

Not the finding out: that is `gatelet.convert.onboard`.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatelet.runtime.bundle.opening import Artifact, Bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = (
    ("flash", "flash_bytes"),
    ("code", "code_bytes"),
    ("weights", "weights_bytes"),
    ("vocabulary", "vocabulary_bytes"),
    ("RAM", "linked_ram_bytes"),
    ("scratch", "scratch_bytes"),
    ("state", "state_bytes"),
    ("stack", "stack_bytes"),
)
"""Bytes that a verdict may have: a title, and the field of `devices`."""
HEADER = (
    "device",
    "artifact",
    *(title for title, _ in COLUMNS),
    "instructions a timestep",
    "verdict",
    "compiler",
)


def entries_of(bundle: Bundle, artifact: Artifact) -> list[Mapping[str, Any]]:
    """Return what is known of an artifact on devices, of the source that the bundle has."""
    digests = {one.path: one.sha256 for one in bundle.files}
    source = digests.get(artifact.companions.get("source", ""))
    found = artifact.entry.get("devices", [])
    return [
        one
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and one.get("source_sha256", source) == source
    ]


def timestep_of(entry: Mapping[str, Any]) -> int | None:
    """Return the instructions, or cycles, of a timestep; None where nothing counted them."""
    count = entry.get("count")
    each = count.get("timestep") if isinstance(count, dict) else None
    return each if isinstance(each, int) else None


def rows_of(bundle: Bundle, artifact: Artifact) -> list[tuple[str, ...]]:
    """Return the rows of a table of HEADER, one a device; '-' is not known."""
    return [
        (
            str(one.get("device", "-")),
            f"{artifact.target} {artifact.scheme}",
            *(_shown(one.get(key)) for _, key in COLUMNS),
            _shown(timestep_of(one)),
            str(one.get("verdict", "-")),
            str(one.get("compiler", "-")),
        )
        for one in entries_of(bundle, artifact)
    ]


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "-"
