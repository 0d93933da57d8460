"""The table of sections in a manifest: checked by who reads it, not by each start."""

from pathlib import Path
from typing import Any

import pytest

from gatelet.convert.parity.stored.file import StoredFile
from gatelet.errors import BundleError
from gatelet.runtime import open_bundle
from gatelet.runtime.bundle.sections import check_sections
from tests.fixture_types import EditManifest
from tests.runtime.bundle_files import manifest_of

SECTION: dict[str, Any] = {
    "weight": "lstm.kernel",
    "order": "rows",
    "gates": 4,
    "columns": [0, 8],
    "step": 0.5,
    "dtype": "int8",
    "shape": [8, 8],
    "offset": 64,
    "scales": [
        {
            "along": "rows",
            "dtype": "float32",
            "shape": [2],
            "offset": 128,
            "codes": {"dtype": "uint8", "shape": [8], "offset": 192},
        }
    ],
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sections": {}}, "'sections' is {}, expected a list"),
        ({"sections": [{**SECTION, "weight": 1}]}, "'weight' is 1, expected text"),
        ({"sections": [{**SECTION, "offset": -1}]}, "'offset' is -1, expected an integer from 0"),
        ({"sections": [{**SECTION, "shape": [2**63]}]}, "'shape' is .*, expected an integer"),
        ({"sections": [{**SECTION, "rows": [1]}]}, r"'rows' is \[1\], expected two integers"),
        ({"sections": [{**SECTION, "step": [1, 0]}]}, "'step' is 0, expected a number above 0"),
        ({"sections": [{**SECTION, "step": 10**400}]}, "'step' is .*, expected a number above 0"),
        ({"sections": [{**SECTION, "scales": [{}]}]}, "'along' is missing"),
    ],
)
def test_a_table_with_a_wrong_field_is_refused(fields: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        check_sections(fields)


def test_a_table_is_checked_when_it_is_read(bundle: Path, edit_manifest: EditManifest) -> None:
    artifacts = manifest_of(bundle)["artifacts"]
    artifacts[0]["sections"] = [{**SECTION, "offset": -1}]
    edit_manifest(bundle, artifacts=artifacts)
    opened = open_bundle(bundle)
    with pytest.raises(BundleError, match=r"sections of \w+ \S+ are damaged: 'offset' is -1"):
        StoredFile.of(opened, opened.artifacts[0], opened.graph())
