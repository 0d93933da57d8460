"""Whether an artifact has shown on this machine that it works: by a verdict, or by golden rows.

Not the rows, which `gatelet.runtime.predictor.golden_rows` runs: most starts do not need them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path

from gatelet.runtime.backends.backend import Backend
from gatelet.runtime.bundle.contents import sha256_for
from gatelet.runtime.bundle.manifest import Artifact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.bundle.opening import Bundle
    from gatelet.runtime.predictor.predictor import Predictor


def check_on_this_machine(predictor: Predictor, backend: Backend) -> None:
    """Run golden rows of an artifact, once for each machine that no verdict covers.

    That they passed is remembered in the user's cache folder, or else in this process. An artifact
    that failed parity was asked for by name, and is not held to anything.

    Args:
        predictor: Of an artifact, or of the Graph itself, for which there is nothing to do.
        backend: What runs it.

    Raises:
        BackendError: It gives other scores than at conversion, or cannot run them.
        BundleDamaged: The golden vectors are not those of the model.
    """
    named = predictor.target, predictor.scheme
    artifact = next(
        (one for one in predictor.bundle.artifacts if (one.target, one.scheme) == named), None
    )
    level = getattr(backend, "level", "")
    machine = machine_here()
    if artifact is None or artifact.verdict == "fail":
        return
    if covered(artifact, backend.engine, machine, level):
        return
    key = _key(predictor.bundle, artifact, (backend.engine, machine, level or ""))
    if key in _passed_here() or _is_remembered(key):
        return
    from gatelet.runtime.predictor.golden_rows import check_golden_rows

    check_golden_rows(predictor, backend, artifact)
    if not _remember(key):
        _passed_here().add(key)


def machine_here() -> str:
    """Return the processor's kind, as `platform.machine` says it: 'x86_64'."""
    if hasattr(os, "uname"):
        return os.uname().machine.lower()
    import platform

    return platform.machine().lower()


def covered(artifact: Artifact, engine: str, machine: str, level: str | None) -> bool:
    """Return whether these very bytes were judged by running in such an engine and machine.

    Args:
        artifact: With the manifest's word on what was judged, if it has any.
        engine: Package and version, as backends tell it: 'ai-edge-litert 2.3.0'.
        machine: The processor's kind: 'x86_64'.
        level: Of x86-64, of code that is built for several.
    """
    judged = artifact.parity.get("judged")
    if (
        not artifact.is_judged
        or not isinstance(judged, dict)
        or judged.get("sha256") != artifact.sha256
    ):
        return False
    runs = judged.get("runs")
    package, _, version = engine.partition(" ")
    return isinstance(runs, list) and any(
        isinstance(run, dict)
        and run.get("engine") in (artifact.target, package)
        and (run.get("version"), run.get("machine")) == (version, machine)
        and (run.get("level") or None) == (level or None)
        for run in runs
    )


_PARTS = ("graph", "weights", "vectorizer", "golden")


def _key(bundle: Bundle, artifact: Artifact, where: tuple[str, ...]) -> str:
    """Return a digest of all that the answers hang on."""
    names = {*artifact.companions.values(), *(bundle.manifest.get(p) for p in _PARTS)}
    digests = sorted(one.sha256 for one in bundle.files if one.path in names)
    told = "\n".join(("golden rows 1", artifact.sha256, *digests, *where)).encode()
    made = sha256_for(len(told))()
    made.update(told)
    return str(made.hexdigest())


@cache
def _passed_here() -> set[str]:
    return set()


def _folder() -> Path:
    """Return the folder of what is remembered, in the user's cache folder as the c target has it.

    Raises:
        OSError: It is not this user's alone.
        RuntimeError: There is no home.
    """
    named = os.environ.get("GATELET_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = base if base.is_absolute() else Path.home() / ".cache"
    return (Path(named) if named else base / "gatelet") / "golden"


def _is_remembered(key: str) -> bool:
    try:
        folder = _folder()
        return _is_ours(folder.lstat(), stat.S_ISDIR) and _is_ours(
            (folder / key).lstat(), stat.S_ISREG
        )
    except (OSError, RuntimeError):
        return False


def _remember(key: str) -> bool:
    """Leave an empty file; False where that cannot be, or others could leave one there."""
    try:
        folder = _folder()
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(folder.lstat(), stat.S_ISDIR):
            return False
        flags = os.O_CREAT | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(folder / key, flags, 0o600))
    except (OSError, RuntimeError):
        return False
    return True


def _is_ours(found: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    if not is_kind(found.st_mode):
        return False
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
