"""The architecture is what the tools say it is: a planted violation of each rule turns them red.

The violations are planted in a copy of the tree, and `./check --lint` of that copy judges them.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatelet.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
LINKS = ("convert", "devices", "runtime", "train")
MAX_LINES = 400
MAX_FILE_BYTES = 1_000_000


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [name for name in listed.split("\0") if name and os.path.lexists(ROOT / name)]


def _copy(names: list[str], to: Path) -> Path:
    for name in names:
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    return to


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _copy(_tracked(), tmp_path_factory.mktemp("copy"))


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run the copy's own check, on the copy's own gatelet."""
    return subprocess.run(
        [str(tree / "check"), "--lint"],
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


def test_check_is_green_without_a_violation(copy: Path) -> None:
    done = _lint(copy)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": green, ") + done.stdout.count(": skipped, ") == 5


PLANTED = [
    ("runtime/metrics.py", "import tensorflow", "gatelet.runtime.metrics -> tensorflow"),
    ("runtime/backends/onnx.py", "import keras", "gatelet.runtime.backends.onnx -> keras"),
    ("runtime/bundle.py", "import onnx", "gatelet.runtime.bundle -> onnx"),
    ("runtime/dataset.py", "import h5py", "gatelet.runtime.dataset -> h5py"),
    ("runtime/graph.py", "import jinja2", "gatelet.runtime.graph -> jinja2"),
    ("devices/__init__.py", "import jinja2", "gatelet.devices -> jinja2"),
    ("devices/__init__.py", "import tensorflow", "gatelet.devices -> tensorflow"),
    ("train/fit.py", "import gatelet.convert", "gatelet.train.fit -> gatelet.convert"),
    ("convert/schemes.py", "import gatelet.train", "gatelet.convert.schemes -> gatelet.train"),
    ("runtime/files.py", "import gatelet.train", "gatelet.runtime.files -> gatelet.train"),
    ("runtime/files.py", "import gatelet.convert", "gatelet.runtime.files -> gatelet.convert"),
    ("runtime/files.py", "import gatelet.cli", "gatelet.runtime.files -> gatelet.cli"),
    ("devices/__init__.py", "import gatelet.convert", "gatelet.devices -> gatelet.convert"),
    ("convert/schemes.py", "import gatelet.cli", "gatelet.convert.schemes -> gatelet.cli"),
    ("gatelet/errors.py", "import gatelet.runtime", "gatelet.errors -> gatelet.runtime"),
    ("train/fit.py", "import runtime", "`runtime` is banned: import gatelet.runtime"),
    ("tests/conftest.py", "import convert", "`convert` is banned: import gatelet.convert"),
    ("convert/schemes.py", "from train import fit", "`train` is banned: import gatelet.train"),
    ("gatelet/errors.py", "from devices import x", "`devices` is banned: import gatelet.devices"),
    ("runtime/bundle.py", "from .graph import Graph", "TID252"),
    ("runtime/bundle.py", "def untyped(x):\n    return x", "no-untyped-def"),
    pytest.param(
        "convert/exporters/c/kernels/masks.c",
        "static  int x;",
        "code should be clang-formatted",
        marks=pytest.mark.skipif(
            shutil.which("clang-format") is None and os.environ.get("GATELET_CLANG") != "required",
            reason="clang-format is not installed: apt-get install clang-format",
        ),
    ),
]


@pytest.mark.parametrize(("path", "line", "message"), PLANTED)
def test_check_is_red_for_a_planted_violation(
    copy: Path, path: str, line: str, message: str
) -> None:
    planted = copy / path
    before = planted.read_text("utf-8")
    planted.write_text(f"{before}\n\n{line}\n", "utf-8")
    try:
        done = _lint(copy)
    finally:
        planted.write_text(before, "utf-8")

    assert done.returncode == 1
    assert message in done.stdout
    assert "check: RED:" in done.stdout


def test_check_is_red_where_no_test_is_collected(tmp_path: Path) -> None:
    names = [n for n in _tracked() if not (n.startswith("tests/") and "/test_" in f"/{n}")]
    tree = _copy(names, tmp_path)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "not full", "-p", "no:cacheprovider"],
        cwd=tree,
        check=False,
        capture_output=True,
        text=True,
    )

    # ./check runs this command and takes every exit code but 0 as red
    assert '"$python" -m pytest -m "$markers" || red+=("pytest")' in (tree / "check").read_text()
    assert done.returncode == 5, done.stdout + done.stderr


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
    for name in ("constraints.txt", "constraints-tflite-runtime.txt"):
        for line in (ROOT / name).read_text("utf-8").splitlines():
            assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line)
