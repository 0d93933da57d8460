"""Sizes that a header defines, evaluated without a compiler."""

from pathlib import Path

import pytest

from gatelet.convert.exporters.c.macros import HeaderSizes
from gatelet.runtime.backends.c.backend import open_artifact
from gatelet.runtime.bundle.opening import open_bundle
from tests.fixture_types import WriteBundle

HEADER = """\
#define M_SMALL 0
#define M_AT_ONCE (M_SMALL ? 1 : 8) /* rows */
#define M_OF(B, T0) \\
    ((size_t)4 * ((size_t)(B) * ((T0) < 16 ? (T0) : 16) + (40 - 2 * 3) / 4))
#define M_BYTES(B, T0) M_OF(((B) > M_AT_ONCE ? M_AT_ONCE : (B)), (T0))
#define M_ODD (1 + other)
"""


@pytest.mark.parametrize(
    ("small", "given", "expected"),
    [(1, (5, 20), 4 * (16 + 8)), (0, (5, 20), 4 * (5 * 16 + 8)), (0, (9, 3), 4 * (8 * 3 + 8))],
)
def test_choices_and_sums_are_those_of_c(small: int, given: tuple[int, int], expected: int) -> None:
    assert HeaderSizes(HEADER, {"M_SMALL": small}).value("M_BYTES", given) == expected


def test_what_is_no_size_is_refused() -> None:
    sizes = HeaderSizes(HEADER, {})
    with pytest.raises(ValueError, match="does not define other"):
        sizes.value("M_ODD")
    with pytest.raises(ValueError, match="M_BYTES takes 2 sizes, not 1"):
        sizes.value("M_BYTES", (1,))
    assert "M_ODD" in sizes and "M_EVEN" not in sizes


def test_a_model_needs_what_its_library_says(write_bundle: WriteBundle, tmp_path: Path) -> None:
    made = (("c", "float32"), ("c", "full-int8"))
    bundle = open_bundle(
        write_bundle(tmp_path / "it", features=3, artifacts=made, with_vectorizer=False)
    )
    for artifact in bundle.artifacts:
        files = {role: bundle.path / path for role, path in artifact.companions.items()}
        backend = open_artifact(
            bundle.path / artifact.path, module="ctypes", threads=1, companions=files
        )
        sizes = HeaderSizes(files["header"].read_text(), {"MODEL_SMALL": 0})
        for rows, timesteps in ((1, 1), (1, 10), (3, 40)):
            found = sizes.value("MODEL_SCRATCH_BYTES", (rows, timesteps))
            assert found == backend.scratch_bytes(rows, [timesteps])
