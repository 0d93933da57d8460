"""The lines of a text file in UTF-8, gzipped or not.

Not what stands in them, which is `gatelet.runtime.data.datafiles`.
"""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gatelet.errors import DataError
from gatelet.runtime.archives import TooLarge, Unpacked

GZIP_MAGIC = b"\x1f\x8b"
MAX_COMPRESSION = 50
"""Times that gzip data may grow: texts grow 3 to 10 times."""
UNPACKED_BYTES = 64 * 2**20
"""What they may have in any case."""
BOM = b"\xef\xbb\xbf"
ZIP_MAGIC = b"PK\x03\x04"
WORKBOOK = "a workbook (.xlsx) or another zip archive, not text: save the sheet as CSV in UTF-8"


def read_text(path: Path) -> str:
    """Read a whole UTF-8 file as one text, its line ends as they are.

    Raises:
        DataError: The file cannot be read, or is not UTF-8 (the line is named).
    """
    with open_bytes(path, zipped=False) as stream:
        return "".join(decoded(path, stream))


@contextmanager
def open_bytes(path: Path, *, zipped: bool) -> Iterator[BinaryIO]:
    """Open a file, unpacked where it is gzip data.

    Args:
        path: The file.
        zipped: Its name says that it is.

    Raises:
        DataError: It cannot be read, is damaged, or grows without a bound.
    """
    try:
        with path.open("rb") as file:
            magic = file.peek(2)[:2]
            if magic == GZIP_MAGIC:
                limit_bytes = max(UNPACKED_BYTES, MAX_COMPRESSION * path.stat().st_size)
                with gzip.open(file) as unzipped:
                    # a GzipFile is a BinaryIO in all but name
                    bounded = Unpacked(unzipped, limit_bytes)  # type: ignore[arg-type]
                    yield io.BufferedReader(bounded)
                return
            if zipped and magic:
                raise DataError(
                    f"'{path}' is not gzip data, though its name ends in .gz: "
                    "rename it, or compress it again",
                    path=str(path),
                )
            yield file
    except TooLarge as error:
        raise DataError(
            f"'{path}' is refused: {error}, {MAX_COMPRESSION} times its own; if it is to be so, "
            "unpack it with gunzip and give the file that it makes",
            path=str(path),
        ) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f"the gzip data of '{path}' is damaged ({error}): fetch or compress it again",
            path=str(path),
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot read '{path}': {error.strerror or error}; check the path and its permissions",
            path=str(path),
        ) from error


def decoded(path: Path, stream: Iterable[bytes]) -> Iterator[str]:
    r"""Decode line by line (lines end in \n), so that an undecodable byte has a line number."""
    offset = 0
    for line, raw in enumerate(stream, start=1):
        if line == 1 and raw.startswith(ZIP_MAGIC):
            raise DataError(f"'{path}' is {WORKBOOK}", path=str(path))
        bom = len(BOM) if line == 1 and raw.startswith(BOM) else 0
        try:
            yield raw[bom:].decode("utf-8")
        except UnicodeDecodeError as error:
            at = offset + bom + error.start
            raise DataError(
                f"'{path}' line {line}: byte 0x{raw[bom + error.start]:02x} at offset {at} "
                "is not UTF-8; save the file as UTF-8",
                path=str(path),
                line=line,
                offset=at,
            ) from error
        offset += len(raw)
