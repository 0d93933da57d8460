"""Which lines of this tree a conversion executes: Python's by tracing, those of C by gcov.

Not the faults that are drawn from them, which is `executed_faults.py`. Needs gcc.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from executed_models import Conversion
from fault_trees import copy_of_tree, environment_of
from line_trace import NOTED, TREE

Lines = dict[str, set[int]]

C_FOLDERS = ("convert/exporters/c/kernels", "convert/exporters/c/templates")
BUILDS: tuple[tuple[str, ...], ...] = (("-march=native",), ("-DGATELET_PLAIN",))
"""The C code is run twice: as this processor has it, and the path without vector instructions."""
COMPILER = """#!{python}
import sys
sys.path.insert(0, {here!r})
from executed_lines import compile_counted
sys.exit(compile_counted(sys.argv[1:], {folder!r}, {flags!r}))
"""
_STARTED = "import sys\nsys.path.insert(0, {here!r})\nimport line_trace\nline_trace.start()\n"
_HERE = str(Path(__file__).resolve().parent)


def lines_of(conversion: Conversion, model: Path, work: Path, *, source: Path) -> Lines:
    """Convert a model, judge its bundle, and return the lines that this executes, by path.

    Args:
        conversion: What is converted.
        model: The folder of its files.
        work: A folder for the traced tree and its bundles.
        source: The tree.

    Raises:
        RuntimeError: It does not convert.
    """
    shutil.rmtree(work, ignore_errors=True)
    tree, bundle, noted = copy_of_tree(work / "tree", source=source), work / "bundle", work / "py"
    mark_c_lines(tree)
    started = work / "started"
    started.mkdir()
    (started / "sitecustomize.py").write_text(_STARTED.format(here=_HERE), "utf-8")
    environment = environment_of(tree)
    environment |= {"PYTHONPATH": f"{started}{os.pathsep}{tree}", "GATELET_CACHE": str(work / "c")}
    environment |= {TREE: str(tree), NOTED: str(noted)}
    data = ("--data", conversion.data, "--no-keras")
    for words in (
        ("convert", "model.keras", "--out", str(bundle), *conversion.arguments(), *data),
        ("parity", str(bundle), *data),
    ):
        _run(words, model, environment)
    found: Lines = {}
    for line in noted.read_text("utf-8").splitlines():
        name, _, number = line.rpartition(":")
        found.setdefault(name, set()).add(int(number))
    del environment[NOTED]
    for number, flags in enumerate(BUILDS):
        counted = work / f"counted-{number}"
        _run_counted(bundle, flags, counted, (model, data), environment)
        for name, lines in counted_lines(counted).items():
            found.setdefault(name, set()).update(lines)
    return found


def _run(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "gatelet", *words]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout[-500:]}{done.stderr[-1000:]}")


def _run_counted(
    bundle: Path,
    flags: Sequence[str],
    counted: Path,
    given: tuple[Path, Sequence[str]],
    environment: Mapping[str, str],
) -> None:
    """Judge the c artifacts of a bundle without its libraries, so that the source is compiled."""
    model, data = given
    counted.mkdir()
    compiler = counted / "cc"
    text = COMPILER.format(
        python=sys.executable, here=_HERE, folder=str(counted), flags=tuple(flags)
    )
    compiler.write_text(text, "utf-8")
    compiler.chmod(0o700)
    copied = bundle.with_name(f"{counted.name}-bundle")
    shutil.copytree(bundle, copied)
    path = copied / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    manifest["artifacts"] = [one for one in manifest["artifacts"] if one["target"] == "c"]
    for one in manifest["artifacts"]:
        beside = one["companions"]
        one["companions"] = {k: v for k, v in beside.items() if not k.startswith("library:")}
    path.write_text(json.dumps(manifest), "utf-8")
    told = {"CC": str(compiler), "GATELET_CACHE": str(counted / "cache")}
    command = [sys.executable, "-m", "gatelet", "parity", str(copied), *data]
    # whatever the verdict is: the code has run
    subprocess.run(
        command, cwd=model, env={**environment, **told}, capture_output=True, check=False
    )


def mark_c_lines(tree: Path) -> None:
    """Write into the C files of a copy where their lines come from, as those are put together."""
    for folder in C_FOLDERS:
        for path in sorted((tree / folder).glob("*.[ch]")):
            path.write_text(marked(path.read_text("utf-8"), f"{folder}/{path.name}"), "utf-8")


def marked(text: str, name: str) -> str:
    """Return a C file with #line where what stands before has another number of lines at last."""
    # what begins with an empty line may be put behind the end of another
    made = [*([""] if text.startswith("\n") else []), f'#line 1 "{name}"']
    for number, line in enumerate(text.split("\n"), 1):
        made.append(line)
        is_filled = re.search(r"\$\{?\w", line) and re.search(r"[;{}]$|^\s*\$\{?\w+\}?$", line)
        if line.startswith("#include") or is_filled:
            made.append(f'#line {number + 1} "{name}"')
    return "\n".join(made)


def compile_counted(words: list[str], folder: str, flags: Sequence[str]) -> int:
    """Compile as asked, but so that each line is counted; sources and counts stay in a folder."""
    base = ["gcc", "--coverage", *flags]
    given = ["-O0" if re.fullmatch("-O.", word) else word for word in words]
    if flags != BUILDS[0]:
        given = [word for word in given if word != "-march=native"]
    sources = [word for word in given if word.endswith(".c")]
    out = given[given.index("-o") + 1] if "-o" in given else "a.out"
    plain = [word for word in given if word not in ("-c", "-shared")]
    for source in sources:
        kept = Path(tempfile.mkdtemp(dir=folder)) / "model.o"
        text = kept.with_suffix(".c")
        shutil.copyfile(source, text)
        at = plain.index("-o") if "-o" in plain else len(plain)
        options = [word for word in plain[:at] + plain[at + 2 :] if word != source]
        place = f"-I{Path(source).resolve().parent}"
        done = subprocess.run([*base, *options, place, "-c", str(text), "-o", str(kept)])
        if done.returncode:
            return done.returncode
        if "-c" in given:
            shutil.copyfile(kept, out)
        given[given.index(source)] = str(kept)
    return 0 if "-c" in given else subprocess.run([*base, *given]).returncode


def counted_lines(folder: Path) -> Lines:
    """Return the lines that ran, of what was compiled so."""
    found: Lines = {}
    for counts in sorted(folder.rglob("*.gcda")):
        subprocess.run(
            ["gcov", "--json-format", counts.name], cwd=counts.parent, capture_output=True
        )
        for path in counts.parent.glob("*.gcov.json.gz"):
            told: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
            for file in told["files"]:
                if file["file"].startswith(C_FOLDERS):
                    ran = {one["line_number"] for one in file["lines"] if one["count"]}
                    found.setdefault(file["file"], set()).update(ran)
            path.unlink()
    return found
