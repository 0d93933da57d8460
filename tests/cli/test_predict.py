"""`gatelet predict`: every way to give texts, and what is printed for them."""

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.runtime import load
from tests.fixture_types import EditManifest, PutPart

RunCli = Callable[..., Any]
ODD = ["", " \t ", "\0", "\ud800", "\udcff w1", "\U0001f600", "\u202ew1\u202c", "a\nb\x1b[31m"]


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_prints_label_score_and_text(cli: RunCli, written_bundle: Path) -> None:
    done = cli("predict", written_bundle, "w1 w2", "w40")
    expected = load(written_bundle).predict(["w1 w2", "w40"])
    assert done.code == 0
    assert done.out == "".join(
        f"{found.label}  {found.score:.6f}  {text}\n"
        for found, text in zip(expected, ("w1 w2", "w40"), strict=True)
    )
    assert done.err.startswith("using onnx float32 (onnxruntime ")
    assert len(done.err.splitlines()) == 1


def test_json_has_exactly_the_promised_keys(cli: RunCli, written_bundle: Path) -> None:
    done = cli("predict", written_bundle, "--json", "w1 w2", "w40")
    expected = load(written_bundle).predict(["w1 w2", "w40"])
    assert [list(line) for line in json_lines(done.out)] == [
        ["text", "label", "score", "scores"]
    ] * 2
    assert [line["text"] for line in json_lines(done.out)] == ["w1 w2", "w40"]
    for line, found in zip(json_lines(done.out), expected, strict=True):
        assert (line["label"], line["score"]) == (found.label, found.score)
        assert line["scores"] == {"1": found.scores["1"], "0": 1 - found.scores["1"]}
        assert line["score"] == line["scores"][line["label"]]


def test_json_of_a_model_without_labels_has_no_label(
    cli: RunCli, bundle: Path, edit_manifest: EditManifest
) -> None:
    edit_manifest(bundle, labels=[])
    (line,) = json_lines(cli("predict", bundle, "w1", "--json").out)
    (found,) = load(bundle).predict(["w1"])
    assert line == {"text": "w1", "label": None, "score": found.score, "scores": {}}
    assert cli("predict", bundle, "w1").out == f"{found.score:.6g}  w1\n"


@pytest.mark.parametrize(
    "words",
    [
        ("{}", "w1", "w2", "--json"),
        ("{}", "--json", "w1", "w2"),
        ("--json", "{}", "w1", "w2"),
        ("{}", "w1", "--json", "w2"),
        ("--target", "onnx", "{}", "--json", "w1", "w2"),
        ("{}", "--scheme=float32", "--json", "--", "w1", "w2"),
    ],
)
def test_flags_may_stand_anywhere(
    cli: RunCli, written_bundle: Path, words: tuple[str, ...]
) -> None:
    done = cli("predict", *(word.format(written_bundle) for word in words))
    assert [line["text"] for line in json_lines(done.out)] == ["w1", "w2"]


def test_a_text_may_start_with_a_dash(cli: RunCli, written_bundle: Path) -> None:
    done = cli("predict", written_bundle, "--json", "--", "-w1", "--json")
    assert [line["text"] for line in json_lines(done.out)] == ["-w1", "--json"]


FILES: dict[str, tuple[bytes, list[str]]] = {
    "texts.csv": (b'text,label\nw1,0\n"w2\nw3",1\n', ["w1", "w2\nw3"]),
    "labelless.csv": (b"id,text\n1,w1\n", ["w1"]),
    "UPPER.CSV": (b"text\nw1\n", ["w1"]),
    "texts.tsv": (b"text\tlabel\nw1, w2\t0\n", ["w1, w2"]),
    "texts.jsonl": (b'{"text": "w1\\u0000\\ud800"}\n{"text": ""}\n', ["w1\0\ud800", ""]),
    "texts.csv.gz": (gzip.compress(b"text\nw1\n"), ["w1"]),
    "texts.txt": (b"w1\n\nw2\r\nw3", ["w1", "", "w2", "w3"]),
    "no-suffix": (b"\xef\xbb\xbfw1\n\xe4\xb8\xad\n", ["w1", "\u4e2d"]),
    "separators.txt": ("a\u2028b\x0bc\x85d\n".encode(), ["a\u2028b\x0bc\x85d"]),
}


@pytest.mark.parametrize("name", FILES)
def test_reads_texts_from_a_file(
    cli: RunCli, written_bundle: Path, tmp_path: Path, name: str
) -> None:
    content, texts = FILES[name]
    (tmp_path / name).write_bytes(content)
    done = cli("predict", written_bundle, "--file", tmp_path / name, "--json", "first")
    assert done.code == 0
    assert [line["text"] for line in json_lines(done.out)] == ["first", *texts]


def test_reads_another_column(cli: RunCli, written_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("body\nw1\n")
    flags = ("--file", tmp_path / "x.csv", "--json")
    done = cli("predict", written_bundle, *flags, "--text-column", "body")
    assert [line["text"] for line in json_lines(done.out)] == ["w1"]
    assert cli("predict", written_bundle, *flags).complaint.endswith(
        "x.csv' has no column 'text'; found: 'body'; name the right one with --text-column"
    )


def test_reads_standard_input(
    cli: RunCli, written_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"w1\nw2 w3\n")))
    done = cli("predict", written_bundle, "--file", "-", "--json")
    assert [line["text"] for line in json_lines(done.out)] == ["w1", "w2 w3"]


def test_a_long_file_takes_no_quadratic_time(
    cli: RunCli, written_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "long.txt").write_bytes(b"w1\n" * 30_000)
    done = cli("predict", written_bundle, "--file", tmp_path / "long.txt")
    assert done.out.count("\n") == 30_000


def test_prints_one_line_for_any_text(cli: RunCli, written_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ODD))
    plain = cli("predict", written_bundle, "--file", path)
    assert plain.code == 0
    assert len(plain.out.split("\n")) == len(ODD) + 1
    assert plain.out.endswith("a b\\x1b[31m\n")
    assert not set(plain.out) & set("\0\x1b\r\t")
    done = cli("predict", written_bundle, "--file", path, "--json")
    assert [line["text"] for line in json_lines(done.out)] == ODD


def test_labels_of_a_hostile_bundle_print_on_one_line(
    cli: RunCli, bundle: Path, edit_manifest: EditManifest
) -> None:
    edit_manifest(bundle, labels=["no\n1  0.99", "yes\x1b[2J\n"], name="evil\n\x1b")
    done = cli("predict", bundle, "w1")
    assert (done.code, done.out.count("\n")) == (0, 1)
    assert "\x1b" not in done.out
    shown = cli("inspect", bundle)
    assert "\x1b" not in shown.out
    assert "bundle     evil \\x1b, format 1\n" in shown.out


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "' holds no text to predict: give texts, or --file"),
        (b"w1\nw2 \xff\n", "', line 2: byte 0xff is no UTF-8: save the file as UTF-8"),
        (b"\xff\xfew\0", "', line 1: byte 0xff is no UTF-8: save the file as UTF-8"),
    ],
)
def test_refuses_a_file_that_holds_no_texts(
    cli: RunCli, written_bundle: Path, tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "texts").write_bytes(content)
    done = cli("predict", written_bundle, "--file", tmp_path / "texts")
    assert done.complaint.endswith(expected)
    assert done.out == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nothing", "cannot read '{}': No such file or directory"),
        ("nothing.csv", "'{}' does not exist: check the path"),
        ("long" * 100, "File name too long"),
    ],
)
def test_refuses_a_file_that_is_not_there(
    cli: RunCli, written_bundle: Path, tmp_path: Path, name: str, expected: str
) -> None:
    done = cli("predict", written_bundle, "--file", tmp_path / name)
    assert expected.format(tmp_path / name) in done.complaint


def test_refuses_to_predict_nothing(cli: RunCli, written_bundle: Path) -> None:
    assert (
        cli("predict", written_bundle).misuse
        == "there is no text to predict: give texts, or --file"
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--target", "litert"), "has no artifact for target litert, scheme any; it has: onnx "),
        (("--scheme", "int3"), "has no artifact for target any, scheme int3; it has: onnx float32"),
        (("--target", "reference", "--scheme", "dynamic-int8"), "runs the Graph in float32"),
    ],
)
def test_refuses_an_unknown_target_or_scheme(
    cli: RunCli, written_bundle: Path, words: tuple[str, ...], expected: str
) -> None:
    assert expected in cli("predict", written_bundle, "w1", *words).complaint


def test_a_failed_artifact_needs_both_target_and_scheme(
    cli: RunCli, bundle: Path, edit_manifest: EditManifest
) -> None:
    artifacts = json.loads((bundle / "manifest.json").read_bytes())["artifacts"]
    for artifact in artifacts:
        artifact["parity"]["verdict"] = "fail"
    edit_manifest(bundle, artifacts=artifacts)
    for words in ((), ("--target", "onnx"), ("--scheme", "float32")):
        complaint = cli("predict", bundle, "w1", *words).complaint
        assert complaint.endswith("to use it all the same, name both --target and --scheme")
    done = cli("predict", bundle, "w1", "--target", "onnx", "--scheme", "float32")
    assert (done.code, done.out.count("\n")) == (0, 1)


@pytest.mark.parametrize(
    ("without", "words", "expected"),
    [
        (("onnxruntime",), (), "using reference float32 (numpy "),
        (
            ("onnxruntime",),
            ("--target", "onnx"),
            "gatelet: the onnx backend is not installed: pip install 'gatelet[onnx]'\n",
        ),
        (
            ("onnxruntime", "ai_edge_litert", "tflite_runtime", "numpy"),
            (),
            "using pure float32 (python 3.",
        ),
    ],
)
def test_predicts_with_what_is_installed_or_tells_the_pip_command(
    cli_process: RunCli,
    written_bundle: Path,
    without: tuple[str, ...],
    words: tuple[str, ...],
    expected: str,
) -> None:
    done = cli_process("predict", written_bundle, "w1", *words, without=without)
    assert done.err.startswith(expected)
    assert done.code == (0 if expected.startswith("using") else 1)
    if done.code == 1:
        assert done.err == expected


def test_an_artifact_that_the_engine_refuses_is_one_line(
    cli: RunCli, bundle: Path, put_part: PutPart
) -> None:
    put_part(bundle, "onnx", b"no onnx file")
    complaint = cli("predict", bundle, "w1").complaint
    assert complaint.startswith("the engine onnxruntime cannot open 'onnx-float32-")
