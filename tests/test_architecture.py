"""The architecture is what the tools say it is: a planted violation of each rule turns them red.

Each violation is judged by the one tool that holds the rule; all of `./check --lint` runs once.
"""

import ast
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import grimp
import pytest
from importlinter import configuration
from importlinter.application import use_cases
from importlinter.application.app_config import settings

from gatelet.cli.main import COMMANDS
from tests import tiers
from tests.tree_copy import ROOT
from tests.tree_copy import copied as _copy
from tests.tree_copy import tracked as _tracked

LINKS = ("convert", "devices", "runtime", "train")
MAX_LINES = 400
MAX_FILE_BYTES = 1_000_000


def _run_in(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a copy of the tree, on the copy's own gatelet."""
    return subprocess.run(
        command,
        cwd=tree,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(tree),
        },
    )


def test_lint_is_green_for_this_tree_and_red_for_a_violation(tmp_path: Path) -> None:
    """Run all of it once, with the fault that the last tool finds: the others stay green."""
    tree = _copy(_tracked(), tmp_path)
    if (ROOT / ".mypy_cache").exists():  # mypy compares digests, and a whole run takes a minute
        shutil.copytree(ROOT / ".mypy_cache", tree / ".mypy_cache")
    planted = tree / "runtime" / "files.py"
    planted.write_text(planted.read_text("utf-8") + "\n\nimport gatelet.cli  # noqa: E402, F401\n")

    done = _run_in(tree, str(tree / "check"), "--lint")

    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.count(": green, ") + done.stdout.count(": skipped, ") == 4, done.stdout
    assert "gatelet.runtime.files -> gatelet.cli" in done.stdout
    assert done.stdout.endswith("check: RED: import-linter\n")


def test_this_tree_keeps_every_contract() -> None:
    broken, report = _lint_imports()

    assert not broken, report


PLANTED = [
    (
        "runtime/data/metrics.py",
        "import tensorflow",
        "imports",
        "gatelet.runtime.data.metrics -> tensorflow",
    ),
    (
        "runtime/backends/onnx.py",
        "import keras",
        "imports",
        "gatelet.runtime.backends.onnx -> keras",
    ),
    (
        "runtime/bundle/opening.py",
        "import onnx",
        "imports",
        "gatelet.runtime.bundle.opening -> onnx",
    ),
    ("runtime/data/dataset.py", "import h5py", "imports", "gatelet.runtime.data.dataset -> h5py"),
    ("runtime/graph/graph.py", "import jinja2", "imports", "gatelet.runtime.graph.graph -> jinja2"),
    ("devices/__init__.py", "import jinja2", "imports", "gatelet.devices -> jinja2"),
    ("devices/__init__.py", "import tensorflow", "imports", "gatelet.devices -> tensorflow"),
    ("train/fit.py", "import gatelet.convert", "imports", "gatelet.train.fit -> gatelet.convert"),
    (
        "convert/schemes.py",
        "import gatelet.train",
        "imports",
        "gatelet.convert.schemes -> gatelet.train",
    ),
    (
        "runtime/files.py",
        "import gatelet.train",
        "imports",
        "gatelet.runtime.files -> gatelet.train",
    ),
    (
        "runtime/files.py",
        "import gatelet.convert",
        "imports",
        "gatelet.runtime.files -> gatelet.convert",
    ),
    ("runtime/files.py", "import gatelet.cli", "imports", "gatelet.runtime.files -> gatelet.cli"),
    (
        "devices/__init__.py",
        "import gatelet.convert",
        "imports",
        "gatelet.devices -> gatelet.convert",
    ),
    (
        "convert/schemes.py",
        "import gatelet.cli",
        "imports",
        "gatelet.convert.schemes -> gatelet.cli",
    ),
    ("gatelet/errors.py", "import gatelet.runtime", "imports", "gatelet.errors -> gatelet.runtime"),
    (
        "convert/reading/files.py",
        "import gatelet.convert.parity",
        "imports",
        "gatelet.convert.reading.files -> gatelet.convert.parity",
    ),
    (
        "convert/proving.py",
        "import gatelet.convert.conversion",
        "imports",
        "gatelet.convert.proving -> gatelet.convert.conversion",
    ),
    (
        "runtime/bundle/opening.py",
        "import gatelet.runtime.predictor",
        "imports",
        "gatelet.runtime.bundle.opening -> gatelet.runtime.predictor",
    ),
    (
        "runtime/graph/graph.py",
        "import gatelet.runtime.backends",
        "imports",
        "gatelet.runtime.graph.graph -> gatelet.runtime.backends",
    ),
    (
        "convert/exporters/onnx/layers.py",
        "import gatelet.convert.exporters.c",
        "imports",
        "gatelet.convert.exporters.onnx.layers -> gatelet.convert.exporters.c",
    ),
    (
        "convert/exporters/tflm/walk.py",
        "import gatelet.convert.exporters.litert",
        "imports",
        "gatelet.convert.exporters.tflm.walk -> gatelet.convert.exporters.litert",
    ),
    (
        "convert/exporters/exported.py",
        "import gatelet.convert.lowering",
        "imports",
        "gatelet.convert.exporters.exported -> gatelet.convert.lowering",
    ),
    (
        "convert/exporters/quantize.py",
        "import gatelet.convert.parity",
        "imports",
        "gatelet.convert.exporters.quantize -> gatelet.convert.parity",
    ),
    (
        "runtime/predictor/scoring.py",
        "import gatelet.runtime.data.metrics",
        "imports",
        "gatelet.runtime.predictor.scoring -> gatelet.runtime.data.metrics",
    ),
    (
        "runtime/vectorizer/tokenizer.py",
        "import gatelet.runtime.measure",
        "imports",
        "gatelet.runtime.vectorizer.tokenizer -> gatelet.runtime.measure",
    ),
    (
        "convert/lowering/dense.py",
        "import gatelet.convert.exporters.quantize",
        "imports",
        "gatelet.convert.lowering.dense -> gatelet.convert.exporters.quantize",
    ),
    (
        "convert/reading/hdf5.py",
        "import gatelet.convert.exporters",
        "imports",
        "gatelet.convert.reading.hdf5 -> gatelet.convert.exporters",
    ),
    (
        "convert/parity/stored/match.py",
        "import gatelet.convert.exporters.quantize",
        "imports",
        "gatelet.convert.parity.stored.match -> gatelet.convert.exporters.quantize",
    ),
    (
        "convert/layouts.py",
        "import gatelet.convert.exporters",
        "imports",
        "gatelet.convert.layouts -> gatelet.convert.exporters",
    ),
    ("train/fit.py", "import runtime", "ruff", "`runtime` is banned: import gatelet.runtime"),
    ("tests/conftest.py", "import convert", "ruff", "`convert` is banned: import gatelet.convert"),
    (
        "convert/schemes.py",
        "from train import fit",
        "ruff",
        "`train` is banned: import gatelet.train",
    ),
    (
        "gatelet/errors.py",
        "from devices import x",
        "ruff",
        "`devices` is banned: import gatelet.devices",
    ),
    ("runtime/bundle/opening.py", "from .graph import Graph", "ruff", "TID252"),
    ("runtime/bundle/opening.py", "def untyped(x):\n    return x", "mypy", "no-untyped-def"),
]
"""A file, what is added to it, the tool that must turn red, and what it must say."""


def _planted(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("path", "line", "message"),
        [(p, line, said) for p, line, by, said in PLANTED if by == tool],
    )


@_planted("imports")
def test_import_linter_is_red_for_a_planted_import(path: str, line: str, message: str) -> None:
    broken, report = _lint_imports((path, line))

    assert broken
    assert message in report


def test_every_contract_is_broken_by_a_planted_import() -> None:
    broken = [_lint_imports((p, line))[0] for p, line, tool, _ in PLANTED if tool == "imports"]

    assert set().union(*broken) == _contracts()


@_planted("ruff")
def test_ruff_is_red_for_a_planted_violation(
    path: str, line: str, message: str, tmp_path: Path
) -> None:
    done = _judge_one_file(
        tmp_path, path, line, "ruff", "check", "--no-cache", "--output-format=concise"
    )

    assert done.returncode == 1
    assert message in done.stdout


@pytest.mark.skipif(
    shutil.which("clang-format") is None and os.environ.get("GATELET_CLANG") != "required",
    reason="clang-format is not installed: apt-get install clang-format",
)
def test_clang_format_is_red_for_a_planted_violation(tmp_path: Path) -> None:
    path = "convert/exporters/c/kernels/masks.c"
    tree = _copy([".clang-format", path], tmp_path)
    command = ("clang-format", "--dry-run", "-Werror", path)
    assert _run_in(tree, *command).returncode == 0
    with (tree / path).open("a", encoding="utf-8") as file:
        file.write("\nstatic  int x;\n")

    assert "code should be clang-formatted" in _run_in(tree, *command).stderr


@_planted("mypy")
def test_mypy_is_red_for_a_planted_violation(
    path: str, line: str, message: str, tmp_path: Path
) -> None:
    command = ("mypy", "--follow-imports=skip", "--cache-dir", str(tmp_path / "cache"))
    done = _judge_one_file(tmp_path, path, line, *command)

    assert done.returncode == 1
    assert message in done.stdout


def _judge_one_file(
    folder: Path, path: str, line: str, *command: str
) -> subprocess.CompletedProcess[str]:
    """Add a line to a file that is copied with the settings, and run a tool on that file alone.

    The file is clean without it: `./check --lint` says so.
    """
    links = [name for name in _tracked() if (ROOT / name).is_symlink()]
    tree = _copy([*links, "pyproject.toml", path], folder / "tree")
    with (tree / path).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{line}\n")
    return _run_in(tree, sys.executable, "-m", *command, path)


class _Graph:
    """The imports of this tree, with others that are planted, where import-linter builds them."""

    def __init__(self, graph: grimp.ImportGraph) -> None:
        self.graph = graph

    def build(self, *given: object, **settings: object) -> grimp.ImportGraph:
        return self.graph


@cache
def _imports() -> grimp.ImportGraph:
    return grimp.build_graph("gatelet", include_external_packages=True, cache_dir=None)


def _lint_imports(*planted: tuple[str, str]) -> tuple[set[str], str]:
    """Run import-linter on this tree and what is planted; return what is broken, and its report."""
    configuration.configure()
    graph = deepcopy(_imports())
    for path, line in planted:
        module = path.removeprefix("gatelet/").removesuffix(".py").removesuffix("/__init__")
        imported = line.split()[1]
        if imported not in graph.modules:
            graph.add_module(imported, is_squashed=True)
        graph.add_import(
            importer=f"gatelet.{module.replace('/', '.')}",
            imported=imported,
            line_number=1,
            line_contents=line,
        )
    settings.configure(GRAPH_BUILDER=_Graph(graph))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        is_green = use_cases.lint_imports(
            str(ROOT / "pyproject.toml"), cache_dir=None, no_logo=True
        )
    report = " ".join(printed.getvalue().split())
    broken = {name for name in _contracts() if f"{name} BROKEN" in report}
    assert is_green == (not broken) and all(name in report for name in _contracts()), report
    return broken, report


def _contracts() -> set[str]:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    return {one["name"] for one in tomllib.loads(text)["tool"]["importlinter"]["contracts"]}


def test_check_is_red_where_no_test_is_collected(tmp_path: Path) -> None:
    names = [n for n in _tracked() if not (n.startswith("tests/") and "/test_" in f"/{n}")]
    tree = _copy(names, tmp_path)

    done = _run_in(
        tree, sys.executable, "-m", "pytest", "-m", "not full", "-p", "no:cacheprovider", "-n", "1"
    )

    # ./check runs this command and takes every exit code but 0 as red
    command = '"$python" -m pytest -m "$markers" "${workers[@]}" || red+=("pytest")'
    assert command in (tree / "check").read_text()
    assert done.returncode == 5, done.stdout + done.stderr


def test_the_table_of_tiers_names_files_and_functions_that_exist() -> None:
    files = {
        name.removeprefix("tests/"): (ROOT / name).read_text("utf-8")
        for name in _tracked()
        if name.startswith("tests/") and name.endswith(".py")
    }
    for row in tiers.SLOW:
        named = [text for name, text in files.items() if fnmatchcase(name, row.files)]
        functions = [one for text in named for one in re.findall(r"^def (test_\w+)", text, re.M)]
        assert any(fnmatchcase(one, row.tests) for one in functions), row
    assert set(tiers.BEGIN_WITH) - set(files) == set()
    for name in (*tiers.kept_of_measured(), *tiers.WORTH_IT):
        file, _, function = name.partition("::")
        assert f"def {function}(" in files[file], f"{name}: rename it in the list too"


LOADED = """
import sys
before = set(sys.modules)
import {package} as loaded
for name in loaded.__all__:
    getattr(loaded, name)  # the runtime loads a module when a name of it is asked for
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(*sorted(new - set(sys.stdlib_module_names) - {{"gatelet"}}))
"""


def _loaded_outside_stdlib(package: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(package=package)],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("package", ["gatelet.runtime", "gatelet.devices", "gatelet.cli"])
def test_importing_what_a_device_needs_loads_only_the_standard_library(package: str) -> None:
    assert _loaded_outside_stdlib(package) == []


@pytest.mark.parametrize("package", ["gatelet.train", "gatelet.convert"])
def test_importing_train_or_convert_loads_no_engine(package: str) -> None:
    engines = {"ai_edge_litert", "keras", "onnx", "onnxruntime", "tensorflow", "tflite_runtime"}

    assert engines.isdisjoint(_loaded_outside_stdlib(package))


def _modules() -> Iterator[Path]:
    for name in _tracked():
        if name.endswith(".py") and not name.startswith(("benchmarks/", "tests/")):
            yield ROOT / name


def test_every_package_that_offers_names_has_all() -> None:
    for path in _modules():
        if path.name != "__init__.py":
            continue
        body = ast.parse(path.read_text("utf-8")).body[1:]
        names = [
            target.id
            for statement in body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        ]
        assert not body or "__all__" in names, f"{path.relative_to(ROOT)} has no __all__"


def test_no_module_is_too_long() -> None:
    lines = {str(p.relative_to(ROOT)): len(p.read_text("utf-8").splitlines()) for p in _modules()}

    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}


@pytest.mark.parametrize("name", LINKS)
def test_front_door_holds_links(name: str) -> None:
    link = ROOT / "gatelet" / name

    assert link.is_symlink()
    assert link.readlink() == Path("..") / name


def test_no_tracked_file_is_large() -> None:
    large = {n: (ROOT / n).lstat().st_size for n in _tracked()}

    assert {name: size for name, size in large.items() if size > MAX_FILE_BYTES} == {}


# written in parts, so that this file does not hold what it looks for
HOSTS = ("pypi" + ".org", "python" + "hosted", "npm" + "js.", "deb." + "debian.org")
MACHINE_PATH = re.compile(r"(?<![\w.~$}-])/" + r"(work|root|home|Users|opt)/\w")


def test_no_tracked_file_names_a_machine_or_a_registry() -> None:
    found = []
    for name in _tracked():
        path = ROOT / name
        if path.is_symlink():
            continue
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").split("\n"), 1):
            if any(host in line for host in HOSTS) or MACHINE_PATH.search(line):
                found.append(f"{name}:{number}: {line.strip()}")

    assert found == []


def _readme_commands() -> list[list[str]]:
    blocks = re.findall(
        r"```(?:sh|console|bash)\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S
    )
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [shlex.split(part, comments=True) for part in parts if part.startswith("gatelet ")]


def test_readme_names_only_commands_and_flags_that_exist() -> None:
    commands = _readme_commands()

    assert {words[1] for words in commands} == set(COMMANDS)
    for words in commands:
        done = subprocess.run(
            [sys.executable, "-m", "gatelet", words[1], "--help"],
            check=True,
            capture_output=True,
            text=True,
        )
        flags = [word.split("=")[0] for word in words if word.startswith("--")]
        assert [flag for flag in flags if flag not in done.stdout.split()] == [], words


def test_readme_begins_with_the_two_commands() -> None:
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()
    commands = [line for line in lines if line.startswith(("python -m venv", "pip install"))]

    assert commands[:2] == [
        "python -m venv .venv && . .venv/bin/activate && "
        'pip install -c constraints.txt -e ".[all]" && gatelet quickstart --out demo',
        'pip install -c constraints.txt -e ".[dev]" && ./check',
    ]


def test_documents_judge_by_rows_that_the_model_was_not_trained_on() -> None:
    for name in ("README.md", *(n for n in _tracked() if n.startswith("docs/"))):
        if not name.endswith(".md"):
            continue
        text = (ROOT / name).read_text("utf-8")
        for block in re.findall(r"```(?:sh|console|bash)\n(.*?)```", text, re.S):
            given: dict[str, set[str]] = {}
            for command, data in re.findall(
                r"gatelet (train|evaluate|parity)\b[^\n]*?--data (\S+)", block
            ):
                given.setdefault(command, set()).add(data)
            judged = given.get("evaluate", set()) | given.get("parity", set())
            assert judged.isdisjoint(given.get("train", set())), name


def test_links_in_the_documents_lead_to_tracked_files() -> None:
    tracked = set(_tracked())
    for name in [name for name in tracked if name.endswith(".md")]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / name).read_text("utf-8")):
            target = os.path.normpath(Path(name).parent / link)
            assert target in tracked, f"{name} links to {link}"


def test_documents_name_only_paths_that_exist() -> None:
    tracked = _tracked()
    text = "".join((ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    # a name in capitals stands for any
    named = [name.removeprefix("./") for name in re.findall(r"`([a-z_.]+/[a-z0-9_./]*)`", text)]

    assert len(named) > 10
    assert [p for p in named if not any(f"{one}/".startswith(p) for one in tracked)] == []


def test_constraints_pin_everything_exactly() -> None:
    for name in ("", "-packages", "-tflite-runtime"):
        for line in (ROOT / f"constraints{name}.txt").read_text("utf-8").splitlines():
            assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)
