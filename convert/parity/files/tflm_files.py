"""Judges the files that go into a firmware beside a tflm artifact: compared with it.

Not the artifact, nor the tables that it takes rows of, which run here.
"""

import re
from collections.abc import Callable, Mapping

from gatelet.convert.exporters.tflm.companions import resolver_header
from gatelet.convert.exporters.tflm.tables import Table, rows_header
from gatelet.convert.parity.files.regenerate import is_written_by_us
from gatelet.convert.parity.files.verdict import COMPARED, Finding, found_equal, not_run
from gatelet.errors import BackendError
from gatelet.runtime.backends.tflm import TABLE_ROLE, read_contract
from gatelet.runtime.bundle.opening import Artifact, Bundle

_SOURCE = re.compile(
    rb"(?://[^\n]*\n)+"
    rb"extern const unsigned char gatelet_model\[\];\n"
    rb"extern const unsigned int gatelet_model_bytes;\n\n"
    rb"alignas\(16\) const unsigned char gatelet_model\[\] = \{\n"
    rb"([0-9, \n]*)\n\};\n"
    rb"const unsigned int gatelet_model_bytes = (\d+);\n"
)


def judge_tflm(bundle: Bundle, artifact: Artifact, verdict: str) -> dict[str, Finding]:
    """Return what was found of each companion, by its role.

    Args:
        bundle: The opened bundle.
        artifact: One of its own.
        verdict: Of the artifact, which runs with its tables.
    """
    found = {}
    for role in artifact.companions:
        if role.startswith(TABLE_ROLE):
            found[role] = Finding(verdict, "run" if verdict != "not run" else "")
        elif role in _JUDGES:
            seen = _JUDGES[role](bundle, artifact, role)
            is_other = seen.verdict == "fail" and not is_written_by_us(bundle, artifact)
            found[role] = not_run("another gatelet wrote it") if is_other else seen
    return found


def _content(bundle: Bundle, artifact: Artifact, role: str) -> bytes:
    return (bundle.path / artifact.companions[role]).read_bytes()


def _array(bundle: Bundle, artifact: Artifact, role: str) -> Finding:
    """Compare the numbers of the array with the file's bytes, and the text around them."""
    found = _SOURCE.fullmatch(_content(bundle, artifact, role))
    numbers = [] if found is None else [one for one in found[1].split(b",") if one.strip()]
    data = (bundle.path / artifact.path).read_bytes()
    is_equal = (
        found is not None
        and int(found[2]) == len(data)
        and [int(one) for one in numbers] == list(data)
    )
    return found_equal(is_equal=is_equal, by=COMPARED, note="it is another file's array")


def _resolver(bundle: Bundle, artifact: Artifact, role: str) -> Finding:
    """Compare with the header of the operators that the manifest lists, which the file has."""
    header = resolver_header(artifact.ops, artifact.entry, name=bundle.name, scheme=artifact.scheme)
    is_equal = _code(header.encode()) == _code(_content(bundle, artifact, role))
    return found_equal(is_equal=is_equal, by=COMPARED, note="the file has other operators")


def _row_reader(bundle: Bundle, artifact: Artifact, role: str) -> Finding:
    """Compare with the header for the tables that the file itself describes."""
    try:
        contract = read_contract((bundle.path / artifact.path).read_bytes())
    except ImportError:
        return not_run("tflite-micro, which reads the file, is not installed")
    except BackendError as error:
        return Finding("fail", COMPARED, str(error))
    told = [one["table"] for one in contract["inputs"] if one.get("table")]
    tables = {  # several inputs may take rows of one
        one["companion"]: Table(one["companion"], one["rows"], one["columns"], one["scale"], b"")
        for one in told
    }
    header = rows_header(list(tables.values()), scheme=artifact.scheme)
    is_equal = _code(header.encode()) == _code(_content(bundle, artifact, role))
    return found_equal(is_equal=is_equal, by=COMPARED, note="the file takes other rows")


def _code(text: bytes) -> list[bytes]:
    """Return the words of a text; those of another release may stand on other lines."""
    return text.split()


_JUDGES: Mapping[str, Callable[[Bundle, Artifact, str], Finding]] = {
    "c_array": _array,
    "op_resolver": _resolver,
    "row_reader": _row_reader,
}
"""By role."""
