"""What bad input to a conversion gets: one line, and nothing is left behind."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.cli.main import main
from gatelet.convert import convert
from gatelet.errors import (
    ConfigError,
    ConversionError,
    ModelError,
)

Digests = Callable[[Path], dict[str, str]]


def _without_model(run: Path) -> list[str]:
    (run / "model.keras").unlink()
    return [str(run)]


def _without_test_part(run: Path) -> list[str]:
    (run / "test.jsonl").unlink()
    return [str(run)]


def _truncated_model(run: Path) -> list[str]:
    data = (run / "model.keras").read_bytes()
    (run / "model.keras").write_bytes(data[: len(data) // 2])
    return [str(run)]


def _model_of_zeros(run: Path) -> list[str]:
    (run / "model.keras").write_bytes(bytes(1000))
    return [str(run)]


def _larger_vectorizer(run: Path) -> list[str]:
    spec = json.loads((run / "vectorizer.json").read_text())
    spec["num_words"] = None
    spec["vocabulary"]["zyzzyva"] = 10_000
    (run / "vectorizer.json").write_text(json.dumps(spec))
    return [str(run)]


def _garbage_vectorizer(run: Path) -> list[str]:
    (run / "garbage.json").write_bytes(b"\xff\x00garbage")
    return [str(run), "--vectorizer", str(run / "garbage.json")]


def _foreign_vectorizer(run: Path) -> list[str]:
    (run / "foreign.json").write_text('{"class_name": "Tokenizer", "config": {}}')
    return [str(run), "--vectorizer", str(run / "foreign.json")]


def _missing_vectorizer(run: Path) -> list[str]:
    return [str(run), "--vectorizer", str(run / "none.json")]


def _data_without_texts(run: Path) -> list[str]:
    (run / "data.csv").write_text("review,label\ngood,1\n")
    return [str(run), "--data", str(run / "data.csv")]


def _missing_data(run: Path) -> list[str]:
    return [str(run), "--data", str(run / "none.csv")]


def _data_without_vectorizer(run: Path) -> list[str]:
    (run / "data.csv").write_text("text\ngood\n")
    return [str(run / "model.keras"), "--data", str(run / "data.csv")]


BAD_SOURCES: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no such run": (lambda run: [str(run / "none")], "none"),
    "a folder that is no run": (lambda run: [str(run.parent)], "is a folder but no run"),
    "a text file": (lambda run: [str(run / "config.toml")], "is no Keras model"),
    "no model": (_without_model, "has no model.keras"),
    "half a model": (_truncated_model, "is damaged"),
    "zeros": (_model_of_zeros, "is no Keras model"),
    "no test part": (_without_test_part, "has no test.jsonl"),
    "another vectorizer": (_larger_vectorizer, "ids up to 10000, the model"),
    "a garbage vectorizer": (_garbage_vectorizer, "garbage.json"),
    "a foreign vectorizer": (_foreign_vectorizer, "foreign.json"),
    "a missing vectorizer": (_missing_vectorizer, "none.json"),
    "data without texts": (_data_without_texts, "'text'"),
    "missing data": (_missing_data, "none.csv"),
    "data, but no vectorizer": (_data_without_vectorizer, "--vectorizer"),
    "one label of two": (lambda run: [str(run), "--labels", "good"], "name 2 different labels"),
    "equal labels": (lambda run: [str(run), "--labels", "a,a"], "name 2 different labels"),
    "three labels": (lambda run: [str(run), "--labels", "a,b,c"], "name 2 different labels"),
    "unknown target": (lambda run: [str(run), "--target", "coreml"], "'coreml' is not known"),
    "unknown scheme": (lambda run: [str(run), "--scheme", "int2"], "'int2' is not known"),
}


@pytest.mark.usefixtures("no_tensorflow")
@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_bad_input_is_one_line_and_leaves_nothing(
    quickstart: Any,
    small_run: Path,
    work: Path,
    digests_of: Digests,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    make, said = BAD_SOURCES[kind]
    run = Path(shutil.copytree(small_run, work / "run"))
    words = make(run)
    before = digests_of(work)
    is_usage = kind.endswith(("label of two", "labels", "target", "scheme"))
    assert main(["convert", *words, "--out", str(work / "demo")]) == (2 if is_usage else 1)
    captured = capsys.readouterr()
    last = captured.err.splitlines()[-1]
    assert captured.out == ""
    assert last.startswith("gatelet: ") and said in last
    assert "Traceback" not in captured.err and "defect" not in last
    assert digests_of(work) == before
    assert [path.name for path in work.iterdir()] == ["run"]


BAD_PLACES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "some other folder": (lambda work: work / "other", "is a folder that is no bundle"),
    "a file": (lambda work: work / "file", "is not a folder"),
    "below nothing": (lambda work: work / "none" / "demo", "does not exist"),
    "below a file": (lambda work: work / "file" / "demo", "does not exist"),
    "the run itself": (lambda work: work / "run", "is a folder that is no bundle"),
}


@pytest.mark.usefixtures("no_tensorflow")
@pytest.mark.parametrize("kind", BAD_PLACES)
def test_a_wrong_place_is_one_line_and_stays_as_it_was(
    small_run: Path,
    work: Path,
    digests_of: Digests,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    choose, said = BAD_PLACES[kind]
    shutil.copytree(small_run, work / "run")
    (work / "other").mkdir()
    (work / "other" / "thesis.txt").write_text("mine")
    (work / "file").write_text("mine")
    before = digests_of(work)
    assert main(["convert", str(work / "run"), "--out", str(choose(work))]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("gatelet: ") and said in captured.err
    assert len(captured.err.splitlines()) == 1
    assert digests_of(work) == before
    assert sorted(path.name for path in work.iterdir()) == ["file", "other", "run"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files as POSIX does")
def test_a_full_disk_is_one_line_and_leaves_the_old_bundle(
    small_run: Path,
    work: Path,
    written_bundle: Path,
    digests_of: Digests,
    without_tensorflow: dict[str, str],
) -> None:
    shutil.copytree(written_bundle, work / "demo")
    before = digests_of(work)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource, signal, sys\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
            "from gatelet.cli.main import main\n"
            f"sys.exit(main(['convert', {str(small_run)!r}, '--out', 'demo']))\n",
        ],
        cwd=work,
        env=without_tensorflow,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("gatelet: cannot ") and "File too large" in last
    assert digests_of(work) == before
    assert [path.name for path in work.iterdir()] == ["demo"]


@pytest.mark.parametrize("source", [42, None, object(), ["model.keras"]])
def test_something_that_is_no_model_is_named(work: Path, source: object) -> None:
    with pytest.raises((ModelError, TypeError), match=type(source).__name__):
        convert(source, work / "demo", targets=["onnx"])
    assert list(work.iterdir()) == []


def test_a_target_without_the_scheme_is_named(small_run: Path, work: Path) -> None:
    with pytest.raises(ConfigError, match="scheme 'int4' is not known"):
        convert(small_run, work / "demo", targets=["onnx"], schemes=["int4"])


def test_a_chosen_target_whose_converter_is_missing_is_an_error_with_the_command(
    small_run: Path,
    work: Path,
    without_tensorflow: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", without_tensorflow["PYTHONPATH"])
    with pytest.raises(ConversionError, match=r"pip install 'gatelet\[train\]'"):
        convert(small_run, work / "demo", targets=["litert"])
    assert list(work.iterdir()) == []
