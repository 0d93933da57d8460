"""Is work ever lost? `python benchmarks/storage_faults.py [--sample]`, on Linux with a C compiler.

Trains, converts and checks parity while every change of a file in turn is the last one, or fails:
SIGKILL, ENOSPC at a number of bytes, EXDEV and EBUSY at renames, EROFS. Each time it looks at what
is there, and at what the next run leaves. Prints a table; exits 1 if anything was lost or left.
The network is a stand-in whose training takes no time. `--sample` runs a few cases of each kind.
"""

import argparse
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from storage_worlds import (
    ANY,
    KILLED,
    NEVER,
    RENAME,
    WORLDS,
    WRITE,
    Fault,
    World,
)

SHIM_SOURCE = Path(__file__).with_suffix(".c")


def faults_of(kind: type[World], folder: Path, *, is_over: bool, is_sample: bool) -> list[Fault]:
    """Return the faults of a command: it is run to see how much it changes."""
    counted = {}
    measures = {"any": (ANY, False), "rename": (RENAME, False), "bytes": (WRITE, True)}
    for key, (kinds, in_bytes) in measures.items():
        world = kind(folder / key, is_over=is_over)
        done = world.attempt("new", Fault(key, kinds, NEVER, in_bytes=in_bytes))
        assert done.code == 0, done.said
        counted[key] = NEVER - int((folder / key / "left").read_text())
    few = 2 if is_sample else 14
    # the last one puts the work in its place
    renames = range(counted["rename"])[-1 if is_sample else None :]
    return [
        *(Fault("SIGKILL", ANY, at) for at in spread(counted["any"], few)),
        # the last ones put things in place
        *(
            Fault("SIGKILL at a rename", RENAME, at)
            for at in (renames[-1:] if is_sample else renames)
        ),
        *(
            Fault("ENOSPC", WRITE, at, errno.ENOSPC, in_bytes=True)
            for at in spread(counted["bytes"], 1 if is_sample else 8)
        ),
        *(
            Fault(name, RENAME, at, number)
            for name, number in (("EXDEV", errno.EXDEV), ("EBUSY", errno.EBUSY))
            for at in sorted({renames[0], renames[-1]})
        ),
        *(Fault("EROFS", ANY, at, errno.EROFS) for at in spread(counted["any"], few // 2)),
    ]


def spread(count: int, points: int) -> list[int]:
    """Return numbers below `count` at equal distances, the last one among them."""
    return sorted({count - 1 - i * count // points for i in range(points)})


def run_all(root: Path, *, is_sample: bool) -> int:
    """Run every fault in a world of its own, and print the table; return how many went wrong."""
    ran: Counter[tuple[str, str]] = Counter()
    wrong = []
    for kind, is_over in (one for one in WORLDS if one[1] or not is_sample):
        title = f"{kind.name}, over {'an old one' if is_over else 'nothing'}"
        folder = root / f"{kind.__name__}-{is_over}"
        print(title, file=sys.stderr, flush=True)
        for fault in faults_of(kind, folder, is_over=is_over, is_sample=is_sample):
            world = kind(folder / "one", is_over=is_over)
            (folder / "one" / "trained").unlink(missing_ok=True)
            done = world.attempt("new", fault)
            problem = world.look(done) or world.finish()
            if not problem and fault.number == 0 and done.code != KILLED:
                problem = "the process was not killed"
            ran[title, fault.name] += 1
            if problem:
                wrong.append(f"{title}: {fault.name} after {fault.at:,}: {problem}")
                print(wrong[-1], file=sys.stderr)
            shutil.rmtree(folder / "one")
    names = list(dict.fromkeys(name for _, name in ran))
    print(f"| command | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for title in dict.fromkeys(title for title, _ in ran):
        print(f"| {title} | {' | '.join(str(ran[title, name]) for name in names)} |")
    print(f"\n{sum(ran.values())} faults, {len(wrong)} that lost or left something")
    return len(wrong)


def prepare(root: Path, write_model: Callable[[Path, float], None]) -> None:
    """Write what the commands read: rows, three models, a bundle; and import what they import."""
    from gatelet.cli import main

    data = World.data = root / "rows.csv"
    rows = [
        f"{('good', 'bad')[i % 2]} film number w{i},{('pos', 'neg')[i % 2]}\n" for i in range(60)
    ]
    data.write_text("text,label\n" + "".join(rows), "utf-8")
    for index, version in enumerate(("old", "new", "next")):
        write_model(root / f"{version}.keras", 1.0 + index)
    flags = ["--target", "onnx", "--scheme", "float32", "--no-keras"]
    child = os.fork()  # engines that ran before a fork may hang after it
    if child == 0:
        os._exit(main(["convert", str(root / "old.keras"), "--out", str(root / "bundle"), *flags]))
    assert os.waitpid(child, 0)[1] == 0
    for name in ("train", "convert", "parity"):
        __import__(f"gatelet.cli.{name}")


def write_model(path: Path, factor: float) -> None:
    """Write a Keras file of a small network."""
    from tests.convert.reading.hostile_files import fill, write_keras

    def scaled(file: Any) -> None:
        fill(file)
        file.visititems(lambda name, one: _scale(one, factor))

    write_keras(path, weights=scaled)


def _scale(one: Any, factor: float) -> None:
    if hasattr(one, "shape"):
        one[...] = one[...] * factor


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", action="store_true", help="a few cases of each kind")
    given = parser.parse_args()
    if "STORAGE_FAULTS" not in os.environ:
        with tempfile.TemporaryDirectory() as made:
            library = Path(made) / "faults.so"
            flags = ["-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM_SOURCE), "-ldl"]
            subprocess.run(["cc", *flags], check=True)
            environment = {**os.environ, "LD_PRELOAD": str(library), "STORAGE_FAULTS": made}
            sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment).returncode)
    del os.environ["LD_PRELOAD"]
    place = Path(os.environ["STORAGE_FAULTS"]).resolve()
    sys.path.insert(0, str(Path(__file__).parent.parent))
    prepare(place, write_model)
    sys.exit(run_all(place, is_sample=given.sample) > 0)
