"""What all commands share: help, usage, errors on one line, exit codes, streams that end early."""

import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gatelet.cli import show
from gatelet.cli.main import COMMANDS
from gatelet.convert.exporters.choice import choose, fitting
from gatelet.convert.exporters.targets import TARGETS as CONVERTED
from gatelet.convert.lowering import lower
from gatelet.convert.reading.model_source import open_source
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.settings import ConversionSettings
from gatelet.errors import GateletError
from gatelet.runtime.backends import TARGETS
from gatelet.runtime.terminal import one_line
from tests.convert.reading.hostile_files import write_keras

Done = Any
RunCli = Callable[..., Done]


def command(name: str) -> Any:
    return importlib.import_module(f"gatelet.cli.{name}")


@pytest.fixture
def failing_inspect(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Return a function that makes `gatelet inspect` raise."""

    def fail_with(error: BaseException) -> None:
        def run(arguments: object) -> int:
            raise error

        monkeypatch.setattr(command("inspect"), "run", run)

    return fail_with


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_an_example_that_parses(
    cli: RunCli, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = cli(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: gatelet {name} ")
    assert COMMANDS[name] in done.out
    example = command(name).EXAMPLE
    assert done.out.endswith(f"example:\n  {example}\n")
    monkeypatch.setattr(command(name), "run", lambda arguments: 42)
    assert cli(*shlex.split(example)[1:]).code == 42


@pytest.mark.parametrize("name", ["train", "evaluate", "convert", "parity", "predict", "inspect"])
def test_commands_that_print_figures_have_json(cli: RunCli, name: str) -> None:
    assert "--json" in cli(name, "--help").out


def test_help_lists_every_command_with_an_example(cli: RunCli) -> None:
    done = cli("--help")
    assert done.code == 0
    for name, text in COMMANDS.items():
        assert f"  {name:10}  {text}\n" in done.out
    assert "example:\n  gatelet quickstart --out demo\n" in done.out


def test_tells_its_version(cli: RunCli) -> None:
    assert cli("--version").out == "gatelet 0.1.0\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "gatelet: the following arguments are required: COMMAND"),
        (("predit",), "gatelet: there is no command 'predit': did you mean 'predict'?"),
        (("Convert", "x"), "gatelet: there is no command 'Convert': did you mean 'convert'?"),
        (
            ("zzz",),
            "gatelet: there is no command 'zzz': commands are quickstart, train, tune, evaluate, ",
        ),
        (("a\nb\x1b[0m",), "gatelet: there is no command 'a b\\x1b[0m': commands are "),
        (("--bogus",), "gatelet: the following arguments are required: COMMAND"),
        (("predict",), "gatelet predict: the following arguments are required: BUNDLE"),
        (("predict", "b", "--bogus"), "gatelet predict: unrecognized arguments: --bogus"),
        (("predict", "b", "--js", "x"), "gatelet predict: unrecognized arguments: --js"),
        (("predict", "b", "--target"), "gatelet predict: argument --target: expected one argu"),
        (("predict", "b", "t", "--target", "x"), "gatelet predict: argument --target: invalid ch"),
        (("bench", "b", "--target", "x"), "gatelet bench: argument --target: invalid choice: 'x'"),
        (("convert", "m"), "gatelet convert: the following arguments are required: --out"),
        (("evaluate", "m"), "gatelet evaluate: the following arguments are required: --data"),
        (("inspect", "a", "b"), "gatelet inspect: unrecognized arguments: b"),
        (("train", "--epochs", "x"), "gatelet train: argument --epochs: invalid int value: 'x'"),
    ],
    ids=range(16),
)
def test_wrong_usage_exits_2_and_points_to_help(
    cli: RunCli, words: tuple[str, ...], expected: str
) -> None:
    done = cli(*words)
    first, second = done.err.splitlines()
    assert (done.code, done.out) == (2, "")
    assert first.startswith(expected)
    assert second.startswith("try: gatelet") and second.endswith("--help")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (GateletError("what, where\nand \x1b[31mwhy"), "what, where and \\x1b[31mwhy"),
        (MemoryError(), "out of memory"),
        (OSError(28, "No space left on device", "/out"), "No space left on device: '/out'"),
        (
            ModuleNotFoundError("No module named 'numpy'", name="numpy.linalg"),
            "'inspect' needs numpy, which is not installed: pip install 'gatelet[convert]'",
        ),
    ],
)
def test_an_error_is_one_line_and_exit_1(
    cli: RunCli, failing_inspect: Callable[[BaseException], None], error: Exception, expected: str
) -> None:
    failing_inspect(error)
    done = cli("inspect", "x")
    assert done.complaint == expected
    assert done.out == ""


@pytest.mark.parametrize("error", [KeyError("x"), ModuleNotFoundError(name="gatelet.x")])
def test_an_unexpected_error_asks_for_a_report(
    cli: RunCli, failing_inspect: Callable[[BaseException], None], error: Exception
) -> None:
    failing_inspect(error)
    done = cli("inspect", "x")
    assert done.code == 1
    assert done.err.startswith(f"gatelet: unexpected {type(error).__name__}: ")
    assert done.err.endswith("please report it with what --traceback shows\n")
    assert len(done.err.splitlines()) == 1


def test_traceback_shows_where_an_error_arose(cli: RunCli, tmp_path: Path) -> None:
    done = cli("inspect", tmp_path / "nothing", "--traceback")
    assert done.code == 1
    assert "Traceback (most recent call last)" in done.err
    assert done.err.splitlines()[-1].startswith("gatelet: ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--target", "x"), "target 'x' is not known; known are c, litert, onnx, tflm, onnx-text"),
        (("--scheme", "x"), "scheme 'x' is not known; known are float32, float16, "),
        (("--target", "onnx", "--scheme", "full-int8"), "target 'onnx' has none of the schemes"),
        (("--vocabulary", "3"), "--vocabulary needs a model with a vectorizer"),
        (("--labels", "a"), "the labels are a: the model gives 2 scores a row, so name 2 diff"),
    ],
)
def test_a_setting_that_convert_cannot_use_exits_2(
    cli: RunCli, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    model = write_keras(tmp_path / "model.keras")
    done = cli("convert", model, "--out", tmp_path / "bundle", *words)
    assert done.misuse.startswith(expected)
    assert not (tmp_path / "bundle").exists()


def test_a_scheme_alone_leaves_out_targets_that_the_model_does_not_fit(
    cli: RunCli, tmp_path: Path
) -> None:
    model = write_keras(tmp_path / "model.keras")
    convert = ("convert", model, "--out", tmp_path / "b")
    done = cli(*convert, "--scheme", "dynamic-int8-emb4")
    assert "has no Embedding, so c" in done.complaint
    done = cli(*convert, "--no-keras", "--target", "onnx-text")
    assert "the model takes features" in done.complaint
    told: list[str] = []
    choice = choose(ConversionSettings(schemes=("float32",)))
    graph = lower(open_source(model).model)
    kept = fitting(choice, graph, vectorizer=None, progress=told.append).artifacts
    assert [target for target, _ in kept] == [t for t, _ in choice.artifacts if t != "onnx-text"]
    assert told == [
        "leaving out onnx-text float32: onnx-text takes texts, and the model takes features: "
        "choose --target onnx"
    ]


def test_all_schemes_of_a_target_are_those_that_the_model_fits(cli: RunCli, tmp_path: Path) -> None:
    model = write_keras(tmp_path / "model.keras")
    settings = ("--no-keras", "--target", "onnx", "--scheme", "all", "--json")
    done = cli("convert", model, "--out", tmp_path / "b", *settings)
    made = [one["scheme"] for one in json.loads(done.out)["artifacts"]]
    assert made == ["float32", "float16", "dynamic-int8"]
    assert "leaving out onnx dynamic-int8-emb4: the model has no Embedding" in done.err


def test_an_interrupt_exits_130(
    cli: RunCli, failing_inspect: Callable[[BaseException], None]
) -> None:
    failing_inspect(KeyboardInterrupt())
    done = cli("inspect", "x")
    assert (done.code, done.err) == (130, "gatelet: interrupted\n")


def test_a_real_interrupt_exits_130_without_a_traceback(bundle: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "gatelet", "predict", bundle, "--file", pipe],
        stderr=subprocess.PIPE,
        text=True,
    )
    writer = os.open(pipe, os.O_WRONLY)  # returns when the command has opened it for reading
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    os.close(writer)
    assert (process.returncode, err) == (130, "gatelet: interrupted\n")


@pytest.mark.parametrize("words", [("inspect", "--json"), ("--help",), ("predict", "--help")])
def test_a_reader_that_goes_away_gives_no_traceback(
    written_bundle: Path, words: tuple[str, ...]
) -> None:
    read, write = os.pipe()
    os.close(read)
    where = (str(written_bundle),) if "--json" in words else ()
    done = subprocess.run(
        [sys.executable, "-m", "gatelet", *words, *where],
        check=False,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode in (0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_one_line(written_bundle: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gatelet", "inspect", written_bundle],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
        )
    assert (done.returncode, done.stderr) == (1, b"gatelet: No space left on device\n")


@pytest.mark.parametrize(("closed", "printed"), [(">&-", False), ("2>&-", True)])
def test_a_closed_stream_changes_nothing_on_the_other(
    written_bundle: Path, closed: str, printed: bool
) -> None:
    words = [sys.executable, "-m", "gatelet", "predict", str(written_bundle), "w1", "--json"]
    done = subprocess.run(
        ["sh", "-c", f"{shlex.join(words)} {closed}"], check=False, capture_output=True
    )
    assert done.returncode == 0
    assert (done.stdout[:1] == b"{" and done.stdout.count(b"\n") == 1) is printed
    assert (b"using onnx" in done.stderr) is not printed


def test_prints_what_the_terminal_cannot_show(written_bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gatelet", "predict", written_bundle, b"\xff \xe4\xb8\xad w1"],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C.UTF-8"},
    )
    assert done.stdout.endswith(b"  \\udcff \\u4e2d w1\n")


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("convert", "m", "--out", "b"), "convert"),
        (("parity", "b"), "convert"),
        (("inspect", "model.keras"), "convert"),
    ],
)
def test_a_missing_package_tells_the_pip_command(
    cli_process: RunCli, words: tuple[str, ...], extra: str
) -> None:
    done = cli_process(*words, without=("numpy",))
    assert done.complaint == (
        f"'{words[0]}' needs numpy, which is not installed: pip install 'gatelet[{extra}]'"
    )


def test_one_line_escapes_what_could_fake_output() -> None:
    assert one_line("a\r\n b\t\0c\x1b[2J\x7f\x85d") == "a b \\x00c\\x1b[2J\\x7f d"
    assert one_line("\u4e2d \U0001f468\u200d\U0001f469 e\u0301") == (
        "\u4e2d \U0001f468\u200d\U0001f469 e\u0301"
    )


def test_json_has_no_numbers_that_json_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_json({"a": [float("nan"), (float("-inf"), 1.5)], "\u4e2d": "\ud800"})
    assert capsys.readouterr().out == '{"a": [null, [null, 1.5]], "\\u4e2d": "\\ud800"}\n'


def test_tables_align_figures_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_table(("name", "bytes"), [("a", "1,000"), ("long\nname", "-")])
    assert capsys.readouterr().out == "name       bytes\na          1,000\nlong name      -\n"
    show.print_table(("name",), [])
    assert capsys.readouterr().out == "name\n"
    assert [show.format_figure(x) for x in (None, 0.0, 1.2345e-7)] == ["-", "0", "1.23e-07"]


def test_every_command_has_what_main_calls() -> None:
    for name in COMMANDS:
        found = SimpleNamespace(**vars(command(name)))
        assert callable(found.configure) and callable(found.run)
        assert found.EXAMPLE.startswith(f"gatelet {name} ")


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("convert", (*CONVERTED, *SCHEMES)),
        ("predict", tuple(TARGETS)),
        ("bench", tuple(TARGETS)),
    ],
)
def test_the_help_names_every_target_and_scheme(
    cli: RunCli, command: str, names: tuple[str, ...]
) -> None:
    told = cli(command, "--help").out.replace(",", " ").replace(";", " ").split()
    assert set(names) <= set(told)
