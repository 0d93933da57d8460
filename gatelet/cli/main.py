"""Finds the command, parses its flags, and turns errors into one line and an exit code.

Not the commands: each is a module beside this one, imported only when it is called.

Exit codes: 0 done; 1 a failed verdict or a named error; 2 wrong usage; 130 interrupted; 128 + the
signal's number ended from outside.
"""

import argparse
import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

import gatelet
from gatelet.errors import ConfigError, GateletError
from gatelet.runtime.terminal import one_line

COMMANDS = {
    "quickstart": "real text -> trained -> converted -> proven -> a prediction",
    "train": "train a model and write a run directory",
    "tune": "search for settings that are better, or as good and smaller",
    "evaluate": "measure a run or a bundle on labelled data",
    "convert": "convert a run or a Keras model to a bundle, and check its parity",
    "parity": "check that a bundle predicts what was trained",
    "verify": "run a bundle on a device, emulated or real, and judge it to the bit",
    "plan": "which scheme fits which device, and what it costs there",
    "diff": "compare two bundles: is the new one worse?",
    "export": "make a package of a bundle: C, Arduino, ESP-IDF, Zephyr, MicroPython, ...",
    "predict": "predict with a bundle",
    "bench": "measure latency, throughput, cold start and memory",
    "devices": "list the devices that a bundle can be made for",
    "doctor": "show what this machine can run, and how to install the rest",
    "inspect": "show what a bundle or a Keras model holds",
}
"""Each command's module has the same name."""

EXTRAS = {"quickstart": "all", "train": "train", "tune": "tune", "predict": "onnx"}
"""What installs the packages that a command imports; 'convert' for all others."""


class Command(Protocol):
    """What a command's module has."""

    EXAMPLE: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)}\ntry: {self.prog} --help\n")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help whose lines do not end within a name: `dynamic-int8` is one word."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        import textwrap

        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The words after `gatelet`; those of the process unless given.

    Returns:
        The exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        # a text may hold what the terminal's encoding cannot show
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    # the matrices of small networks are small: threads would only wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # the reader of our output has gone: nothing more to say
        code = 1
    except KeyboardInterrupt:
        _complain("interrupted")
        code = 130
    except Exception as error:
        if "--traceback" in words:
            import traceback

            traceback.print_exc()
        _complain(_explain(error, command=words[0] if words else ""))
        # a setting that cannot be used is wrong usage, whether the parser sees it or the command
        code = 2 if isinstance(error, ConfigError) else 1
    if argv is None:
        gc.freeze()  # the process ends: nothing in it needs to be collected any more
    return code


def _dispatch(words: list[str]) -> int:
    try:
        if not words or words[0] not in COMMANDS:
            return _top_level(words)
        return _run(words[0], words[1:])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2


def _run(name: str, words: list[str]) -> int:
    # the matrices are small: threads of NumPy's BLAS cost more than they give, on a busy machine
    # ten times as much; it reads this when it is imported
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    command: Command = importlib.import_module(f"gatelet.cli.{name}")
    parser = _Parser(
        prog=f"gatelet {name}",
        description=COMMANDS[name],
        epilog=f"example:\n  {command.EXAMPLE}",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    command.configure(parser)
    parser.add_argument("--traceback", action="store_true", help="show where an error arose")
    # intermixed: texts may stand before and after flags
    return command.run(parser.parse_intermixed_args(words))


def _complain(message: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"gatelet: {one_line(message)}", file=sys.stderr)


def _explain(error: Exception, *, command: str) -> str:
    if isinstance(error, GateletError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, ModuleNotFoundError) and error.name and "gatelet" not in error.name:
        return (
            f"'{command}' needs {error.name.split('.')[0]}, which is not installed: "
            f"pip install 'gatelet[{EXTRAS.get(command, 'convert')}]'"
        )
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: '{error.filename}'" if error.filename else error.strerror
    return (
        f"unexpected {type(error).__name__}: {str(error)[:300]}; this is a defect of gatelet: "
        "please report it with what --traceback shows"
    )


def _top_level(words: list[str]) -> NoReturn:
    width = max(len(name) for name in COMMANDS)
    listing = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
    parser = _Parser(
        prog="gatelet",
        usage="gatelet COMMAND [...]",
        description="Recurrent networks from training to edge devices, with proof.",
        epilog=f"commands:\n{listing}\n\nexample:\n  gatelet quickstart --out demo\n\n"
        "gatelet COMMAND --help explains a command",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"gatelet {gatelet.__version__}")
    parser.add_argument("command", metavar="COMMAND", help=argparse.SUPPRESS)
    named = parser.parse_known_args(words)[0].command
    import difflib

    similar = difflib.get_close_matches(named, COMMANDS, n=1)
    hint = f"did you mean '{similar[0]}'?" if similar else f"commands are {', '.join(COMMANDS)}"
    parser.error(f"there is no command '{named}': {hint}")
