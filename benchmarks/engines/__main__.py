"""gatelet's targets beside the engines that a user could pick: one command, one table, a picture.

Run: python benchmarks/engines BUNDLE [--svg FILE] [--json FILE]; the README beside this file tells
what is measured and how. Not a test: nothing here passes or fails.
"""

import argparse
import datetime
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from candidates import CANDIDATES, ENVIRONMENTS, OTHERWISE, Candidate, write_files
from environments import NotInstalled, installed_bytes, python_of
from picture import draw_svg

from gatelet.runtime.backends.c.cache import own_folder
from gatelet.runtime.bundle.opening import Bundle, open_bundle

HERE = Path(__file__).parent
LENGTHS = (100, 50, 20, 5)
BATCH_ROWS = 64
AGREEMENT_ROWS = 64
NOTHING = """
import time
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print('{"start_ms": %r, "peak_mb": %r}' % (time.process_time() * 1e3, peak / 1024))
"""
SLOW_US = 2000.0  # of one call: then a burst has fewer


@dataclass
class Opened:
    """An engine's worker process.

    Args:
        candidate: What it is.
        python: Of its environment.
        spec: What it was told.
        process: The worker.
    """

    candidate: Candidate
    python: Path
    spec: dict[str, Any]
    process: "subprocess.Popen[str]"

    def ask(self, **request: Any) -> Any:
        """Send a request, and give the answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise NotInstalled(f"the worker of {self.candidate.name} ended")
        return json.loads(line)


def main() -> None:
    """Measure, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--environments", type=Path, help="where they are kept; the cache folder")
    parser.add_argument("--only", action="append", default=[], help="a part of a name; repeatable")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=40, help="of a burst")
    parser.add_argument("--starts", type=int, default=5, help="new processes of each engine")
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        metavar="NAME=REQUIREMENT",
        help="install another build of an engine: pytorch=torch==2.12.1",
    )
    parser.add_argument("--json", type=Path, help="write all figures")
    parser.add_argument("--markdown", type=Path, help="write the table")
    parser.add_argument("--svg", type=Path, help="write the picture")
    given = parser.parse_args()
    requirements = dict(ENVIRONMENTS)
    for text in given.require:
        name, _, requirement = text.partition("=")
        requirements[name] = (*requirements[name][:-1], requirement)
    chosen = [c for c in CANDIDATES if not given.only or any(one in c.name for one in given.only)]
    folder = given.environments or own_folder() / "engines"
    with tempfile.TemporaryDirectory() as files:
        found = measure(open_bundle(given.bundle), chosen, requirements, folder, Path(files), given)
    print(table(found, markdown=False))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if given.markdown:
        given.markdown.write_text(table(found, markdown=True) + "\n", "utf-8")
    measured = [row for row in found["rows"] if "latency_us" in row]
    if given.svg and measured:
        shown = sorted(measured, key=lambda row: row["latency_us"]["20"])
        note = f"{found['processor']}, {found['date']}; padded to {found['timesteps']} tokens"
        given.svg.write_text(draw_svg(shown, lengths=(100, 20), note=note), "utf-8")


def measure(
    bundle: Bundle,
    chosen: list[Candidate],
    requirements: dict[str, tuple[str, ...]],
    folder: Path,
    files: Path,
    given: Any,
) -> dict[str, Any]:
    """Return a row for each candidate: its figures, or why it has none."""
    tell("writing the model for each engine")
    write_files(bundle, files)
    graph = bundle.graph()
    timesteps = int(getattr(bundle.vectorizer(), "maxlen", None) or max(LENGTHS))
    facts = {"vocabulary": graph.inputs[0].vocabulary, "timesteps": timesteps}
    opened, refused = [], {}
    for candidate in chosen:
        tell(f"opening {candidate.name}")
        try:
            opened.append(open_worker(candidate, requirements, folder, files, bundle, facts))
        except (NotInstalled, subprocess.TimeoutExpired) as error:
            refused[candidate.name] = str(error)
    try:
        lengths = [n for n in LENGTHS if n <= timesteps]
        latency = bursts(opened, lengths, rows=1, given=given)
        batch = bursts(opened, [timesteps], rows=BATCH_ROWS, given=given)
        agreement = differences(opened, bundle, facts)
    finally:
        for one in opened:
            one.process.kill()
            one.process.wait()
    starts = cold_starts(opened, rounds=given.starts)
    rows: list[dict[str, Any]] = []
    for candidate in chosen:
        if candidate.name in refused:
            rows.append({"name": candidate.name, "refused": refused[candidate.name]})
            continue
        name = candidate.name
        (worker,) = (one for one in opened if one.candidate is candidate)
        rows.append(
            {
                "name": name,
                "latency_us": {str(n): latency[name, n] for n in lengths},
                "batch_rows_per_s": BATCH_ROWS * 1e6 / batch[name, timesteps],
                **starts[name],
                "installed_mb": installed_bytes(worker.python) / 1e6,
                "largest_difference": agreement[name],
            }
        )
    return {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "processor": processor(),
        "timesteps": timesteps,
        "right": "Keras" if "Keras float32" in agreement else "the Graph",
        "rows": rows,
    }


def open_worker(
    candidate: Candidate,
    requirements: dict[str, tuple[str, ...]],
    folder: Path,
    files: Path,
    bundle: Bundle,
    facts: dict[str, Any],
) -> Opened:
    """Start an engine's worker in its environment.

    Raises:
        NotInstalled: pip cannot install it, or it cannot open the model.
    """
    python = environment_of(candidate, requirements, folder)
    model = files / candidate.file if candidate.file else bundle.path.absolute()
    if not model.exists():
        raise NotInstalled("it is measured with Embedding, LSTM and Dense only, from a Keras file")
    spec = {"engine": candidate.engine, "model": str(model), "scheme": candidate.scheme, **facts}
    spec |= {"target": candidate.target, "level": candidate.level, "arrays": candidate.arrays}
    said = tempfile.TemporaryFile("w+")  # noqa: SIM115  lives as long as the worker
    process = subprocess.Popen(
        [python, HERE / "worker.py", json.dumps(spec)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        env=plain_environment(),
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        said.seek(0)
        lines = said.read().strip().splitlines() or ["its process ended"]
        raise NotInstalled(lines[-1][:160])
    return Opened(candidate, python, spec, process)


def environment_of(
    candidate: Candidate, requirements: dict[str, tuple[str, ...]], folder: Path
) -> Path:
    """Return the Python of an engine's environment; of another build where pip finds not the first.

    Raises:
        NotInstalled: pip can install neither.
    """
    wanted = requirements[candidate.environment]
    try:
        return python_of(folder, wanted)
    except NotInstalled:
        other = OTHERWISE.get(candidate.environment)
        if other is None or wanted != ENVIRONMENTS[candidate.environment]:
            raise
        tell(f"{candidate.name}: pip finds no {wanted[-1]}, so it takes {other[-1]}")
        return python_of(folder, other)


def plain_environment() -> dict[str, str]:
    """Return the variables for a worker, which sees its own environment's packages only."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3", "OPENBLAS_NUM_THREADS": "1"}


def bursts(
    opened: list[Opened], lengths: list[int], *, rows: int, given: Any
) -> dict[tuple[str, int], float]:
    """Return the median microseconds of a call: of each burst, and of the bursts in turn."""
    order, taken = random.Random(rows), {}
    calls = given.calls if rows == 1 else 3
    for number in range(given.rounds if rows == 1 else max(3, given.rounds // 3)):
        tell(f"{rows} rows a call: round {number + 1}")
        pairs = [(one, length) for one in opened for length in lengths]
        order.shuffle(pairs)
        for one, length in pairs:
            key = (one.candidate.name, length)
            slow = taken.get(key, [0.0])[0] > SLOW_US
            some = max(1, calls // 8) if slow else calls
            times = one.ask(rows=rows, tokens=length, calls=some, seed=number)
            taken.setdefault(key, []).append(statistics.median(times))
    return {key: statistics.median(medians) for key, medians in taken.items()}


def differences(opened: list[Opened], bundle: Bundle, facts: dict[str, Any]) -> dict[str, float]:
    """Return each engine's largest difference from Keras; where it is not here, from the Graph."""
    rng = random.Random(7)
    T, rows = facts["timesteps"], []
    for _ in range(AGREEMENT_ROWS):
        tokens = rng.randint(0, T)
        ids = [rng.randrange(1, facts["vocabulary"]) for _ in range(tokens)]
        rows.append([0] * (T - tokens) + ids)
    found = {one.candidate.name: np.array(one.ask(ids=rows)) for one in opened}
    right = found.get("Keras float32")
    if right is None:
        from gatelet.runtime import load

        right = np.asarray(load(bundle.path, target="reference").scores(rows))
    return {name: float(np.abs(scores - right).max()) for name, scores in found.items()}


def cold_starts(opened: list[Opened], *, rounds: int) -> dict[str, dict[str, float]]:
    """Return what a process that predicts once takes over one that does nothing."""
    taken: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        tell(f"cold starts: round {number + 1}")
        for one in opened:
            predicts = [HERE / "worker.py", json.dumps(one.spec), "once"]
            for name, words in ((one.candidate.name, predicts), ("bare", ["-c", NOTHING])):
                command = [one.python, *words]
                done = subprocess.run(
                    command, check=True, capture_output=True, text=True, env=plain_environment()
                )
                taken.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1]))
    middle = {
        name: {key: statistics.median(one[key] for one in found) for key in found[0]}
        for name, found in taken.items()
    }
    bare = middle.pop("bare", {})
    return {
        name: {key: value - bare[key] for key, value in one.items()} for name, one in middle.items()
    }


def table(found: dict[str, Any], *, markdown: bool) -> str:
    """Return the table as text."""
    lengths = [str(n) for n in LENGTHS if n <= found["timesteps"]]
    header = [
        "engine",
        *(f"{n} tokens, us" for n in lengths),
        f"{BATCH_ROWS} rows, rows/s",
        "start, ms",
        "memory, MB",
        "installed, MB",
        f"from {found['right']}",
    ]
    lines = []
    for row in found["rows"]:
        if "refused" in row:
            lines.append([row["name"], row["refused"], *[""] * (len(header) - 2)])
            continue
        lines.append(
            [
                row["name"],
                *(f"{row['latency_us'][n]:,.0f}" for n in lengths),
                f"{row['batch_rows_per_s']:,.0f}",
                f"{row['start_ms']:,.0f}",
                f"{row['peak_mb']:,.1f}",
                f"{row['installed_mb']:,.1f}",
                f"{row['largest_difference']:.1e}",
            ]
        )
    if markdown:
        rule = "|".join(["---", *["---:"] * (len(header) - 1)])
        return (
            "\n".join(f"| {' | '.join(line)} |" for line in (header,))
            + "\n|"
            + rule
            + "|\n"
            + ("\n".join(f"| {' | '.join(line)} |" for line in lines))
        )
    widths = [max(len(line[i]) for line in [header, *lines] if line[2:3] != [""]) for i in range(9)]
    shown = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(
                zip(line, [*widths, *[10] * (len(line) - len(widths))], strict=True)
            )
        )
        for line in [header, *lines]
    ]
    told = f"{found['processor']}, {found['date']}; start and memory are over bare Python's"
    return "\n".join([told, *shown])


def processor() -> str:
    """Name the processor."""
    text = Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else "a processor without a name"


def tell(text: str) -> None:
    """Report the progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
