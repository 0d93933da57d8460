"""Does `--resume` give the same bits? `python benchmarks/resume_kills.py`, on Linux.

Trains small networks on made rows, once undisturbed; then each again and again, killed (SIGKILL) at
moments drawn by a seed: while rows are read, in epochs, in the writing of checkpoints and of the
run, and after it. A third of the resumptions are killed too, half of the trainings replace an older
run. In the end every weight, the figures and the files must be those of the undisturbed training.
Prints a line for each; exits 1 on a difference, or where something is left over.
"""

import argparse
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PHASES = ("read", "epoch", "checkpoint", "write", "after")
"""What a training does; a kill is as likely in each."""
KILLS, SEED = 20, 17
SHARED = "epochs=6 patience=6 learning-rate=0.02 batch-size=16 units=8"
FILES = ("metrics.json", "history.json", "run.json", "vectorizer.json", "history.svg")
LOOK_S = 0.0002
"""How often a process that is to be killed is looked at."""


@dataclass(frozen=True)
class Case:
    """A training.

    Args:
        name: In the table.
        file: Its rows: a key of `writers()`.
        flags: Of `gatelet train`, as `name=value` each.
        kills: Moments at which it is killed.
    """

    name: str
    file: str
    flags: str
    kills: int = KILLS


CASES = (
    Case("texts, LSTM", "texts.csv", "embedding=8 maxlen=12 dropout=0.2"),
    Case(
        "features, GRU",
        "imu.csv",
        "cell=gru group=subject window=16 stride=4 conv=4 pooling=max dropout=0.2 schedule=cosine "
        "metric=macro_f1 class-weights=balanced",
    ),
    Case(
        "texts, two-way RNN, rounded in training",
        "texts.csv",
        "cell=rnn bidirectional layers=2 embedding=8 maxlen=12 word-dropout=0.1 weight-decay=0.01 "
        "aware=dynamic-int4-emb2 aware-epochs=2 tune-threshold no-baseline",
        kills=8,
    ),
    Case(
        "values of windows, LSTM",
        "load.csv",
        "window=12 stride=1 horizon=3 label-column=load dropout=0.1",
        kills=8,
    ),
)


def writers() -> dict[str, Callable[[Path], object]]:
    """Return what writes the rows of each file."""
    from tests.train.made import write_inertial, write_series

    return {"texts.csv": write_texts, "imu.csv": write_inertial, "load.csv": write_series}


def write_texts(path: Path, *, rows: int = 600) -> None:
    """Write texts of which two words in ten tell the label."""
    draw = random.Random(7)
    lines = ["text,label"]
    for row in range(rows):
        told = ("bad", "awful", "dire") if row % 2 else ("good", "fine", "superb")
        words = draw.choices(("film", "plot", "scene", "the", "it", "was"), k=8)
        words += [*draw.choices(told, k=2), f"w{draw.randrange(60)}"]
        lines.append(f"{' '.join(words)},{row % 2}")
    path.write_text("\n".join([*lines, ""]))


@dataclass
class Ended:
    """How a process ended.

    Args:
        code: Its exit code, negative after a signal.
        phase: What it did in the end.
        spent: The phases in order, and the processor seconds of each.
    """

    code: int
    phase: str
    spent: list[tuple[str, float]] = field(default_factory=list)


def train(words: list[str], log: Path, kill: tuple[int, float] | None = None) -> Ended:
    """Run `gatelet train` in a process of its own.

    Args:
        words: Its arguments.
        log: What it says goes there.
        kill: The number of the phase, from 0, and how many processor seconds after its begin.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _train_here(words, log, writing)
    os.close(writing)
    os.set_blocking(reading, False)
    clock = (~child << 3) | 2  # of all threads of a process: clock_getcpuclockid(3) of Linux
    ended, seen, begun_s = Ended(0, PHASES[0]), 0, 0.0
    while True:
        told = _read(reading)
        for phase, now_s in told:
            ended.spent.append((ended.phase, now_s - begun_s))
            ended.phase, begun_s, seen = phase, now_s, seen + 1
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            os.close(reading)
            ended.code = os.waitstatus_to_exitcode(status)
            ended.spent.append((ended.phase, used.ru_utime + used.ru_stime - begun_s))
            return ended
        if kill is not None and seen >= kill[0]:
            if seen > kill[0] or time.clock_gettime(clock) - begun_s >= kill[1]:
                os.kill(child, signal.SIGKILL)
                kill = None
            else:
                continue  # some phases are short
        time.sleep(LOOK_S)


def _read(pipe: int) -> Iterator[tuple[str, float]]:
    try:
        told = os.read(pipe, 1 << 16).decode()
    except BlockingIOError:
        return
    for line in told.splitlines():
        phase, now_s = line.split()
        yield phase, float(now_s)


def _train_here(words: list[str], log: Path, pipe: int) -> None:
    """Train, and tell which phase begins."""
    code = 70
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        from gatelet.cli import main
        from gatelet.train import fit
        from gatelet.train.trainer import Trainer

        def tell(phase: str) -> None:
            os.write(pipe, f"{phase} {time.process_time()}\n".encode())

        def marked(call: Callable[..., Any], phase: str) -> Callable[..., Any]:
            def run(*given: Any, **named: Any) -> Any:
                tell(phase)
                return call(*given, **named)

            return run

        def write_run(*given: Any, _call: Callable[..., Any] = fit.write_run) -> Any:
            tell("write")
            found = _call(*given)
            tell("after")
            return found

        fit.save_checkpoint = marked(fit.save_checkpoint, "checkpoint")
        Trainer.fit_epoch = marked(Trainer.fit_epoch, "epoch")  # type: ignore[method-assign]  # to be told of it
        fit.write_run = write_run
        code = main(["train", *words])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def weights_of(run: Path) -> dict[str, Any]:
    """Return every array of a run's network by its path in the file."""
    import h5py

    found: dict[str, Any] = {}
    with zipfile.ZipFile(run / "model.keras") as archive:
        stored = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(stored, "r") as file:
        file.visititems(
            lambda name, one: found.update({name: one[()]}) if hasattr(one, "dtype") else None
        )
    return found


def differences(run: Path, whole: Path) -> list[str]:
    """Return how a run differs from the one that nothing stopped, and what lies beside it."""
    found = []
    was, now = weights_of(whole), weights_of(run)
    if was.keys() != now.keys():
        return ["other weights"]
    for name, one in was.items():
        if one.dtype != now[name].dtype or one.tobytes() != now[name].tobytes():
            found.append(f"weights '{name}' differ in {int((one != now[name]).sum())} numbers")
    for name in FILES:
        files = [folder / name for folder in (whole, run)]
        contents = [path.read_bytes() if path.exists() else None for path in files]
        if contents[0] != contents[1]:
            found.append(f"{name} differs")
    names = [sorted(path.name for path in folder.iterdir()) for folder in (whole, run)]
    if names[0] != names[1]:
        found.append(f"files {names[1]} for {names[0]}")
    left = sorted({path.name for path in run.parent.iterdir()} - {run.name, "log"})
    if left:
        found.append(f"left over: {left}")
    return found


def moment(draw: random.Random, spent: list[tuple[str, float]]) -> tuple[int, float]:
    """Choose a phase and a moment in it: the number of the phase, and seconds after its begin."""
    kind = draw.choice([one for one in PHASES if any(one == phase for phase, _ in spent)])
    place = draw.choice([at for at, (phase, _) in enumerate(spent) if phase == kind])
    return place, draw.uniform(0, spent[place][1])


def disturb(case: Case, folder: Path, seed: int, ran: Counter[str]) -> int:
    """Kill and resume one training as often as asked for; return how many ended otherwise."""
    folder.mkdir()
    data = folder / case.file
    writers()[case.file](data)
    flags = [f"--{one}" for one in f"{SHARED} {case.flags}".split()]
    words = ["--data", str(data), *flags]
    place = folder / "whole"
    place.mkdir()
    whole = train([*words, "--out", str(place / "run")], place / "log")
    if whole.code:
        print((place / "log").read_text(errors="replace"), file=sys.stderr)
        raise SystemExit(f"{case.name}: the training fails")
    draw, wrong, kills = random.Random(seed), 0, 0
    while kills < case.kills:
        place = folder / f"kill-{kills}"
        place.mkdir()
        out, is_over = place / "run", draw.random() < 0.5
        if is_over:
            train([*words, "--epochs=1", "--out", str(out)], place / "log")
        told: list[str] = []
        again: list[str] = []
        while kills < case.kills and (not told or draw.random() < 1 / 3):
            ended = train(
                [*words, *again, "--out", str(out)], place / "log", moment(draw, whole.spent)
            )
            again = ["--resume"]
            if ended.code == 0:
                break
            assert ended.code == -signal.SIGKILL, (place / "log").read_text(errors="replace")
            kills += 1
            ran[ended.phase] += 1
            told.append(f"{ended.phase} {sum(one == ended.phase for one, _ in ended.spent)}")
        ended = train([*words, "--resume", "--out", str(out)], place / "log")
        problems = (
            [f"exit code {ended.code}"]
            if ended.code
            else differences(out, place.parent / "whole" / "run")
        )
        over = ", over another run" if is_over else ""
        if not told and not problems:
            shutil.rmtree(place)
            continue  # it was faster than the kill
        print(
            f"{case.name}: killed in {', '.join(told)}{over}: {'; '.join(problems) or 'the same'}",
            flush=True,
        )
        wrong += bool(problems)
        if not problems:
            shutil.rmtree(place)
    return wrong


def _import() -> None:
    """Import once for all processes what takes half of their time; nothing is computed here."""
    import sklearn.linear_model  # noqa: F401  loaded before the fork

    from gatelet.cli import train  # noqa: F401  loaded before the fork
    from gatelet.train.model import import_keras

    import_keras()


def main(given: list[str]) -> int:
    """Disturb every training; 1 where one ended otherwise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--case", help="only those whose name has this in it")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="work there, and leave it")
    asked = parser.parse_args(given)
    sys.path.insert(0, str(ROOT))
    _import()
    ran: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as made:
        root = asked.keep or Path(made)
        root.mkdir(exist_ok=True)
        for number, case in enumerate(CASES):
            if asked.case is None or asked.case in case.name:
                wrong += disturb(case, root / str(number), asked.seed + number, ran)
    counts = ", ".join(f"{phase} {ran[phase]}" for phase in PHASES)
    print(f"{sum(ran.values())} kills ({counts}), {wrong} trainings that ended otherwise")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
