"""`gatelet predict --stream`: a step a line in, a line a step out."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import ConversionError
from gatelet.runtime import load
from tests.fixture_types import WriteBundle

RunCli = Callable[..., Any]

F = 3
ROWS = np.arange(12, dtype=np.float32).reshape(4, F) / 7


@pytest.fixture(scope="session")
def sensors(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Write a bundle of features [B, T, 3] with a streaming onnx file; not to be changed."""
    out = tmp_path_factory.mktemp("streams") / "sensors"
    return write_bundle(out, features=F, outputs=4, with_vectorizer=False, stream=True)


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets what standard input holds."""

    def given(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return given


def lines_of(rows: Any = ROWS, separator: str = ",") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows.tolist())


def expected_scores(bundle: Path) -> list[list[float]]:
    predictor = load(bundle, target="reference")
    return [predictor.scores(ROWS[None, : t + 1])[0].tolist() for t in range(len(ROWS))]


@pytest.mark.parametrize("separator", [",", ", ", ";", "\t", " "])
def test_each_line_of_numbers_gives_a_line(
    cli: RunCli, sensors: Path, give: Callable[[str], None], separator: str
) -> None:
    give(lines_of(separator=separator))
    done = cli("predict", sensors, "--stream", "--json")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, len(found)) == (0, 4)
    for step, (line, scores) in enumerate(zip(found, expected_scores(sensors), strict=True), 1):
        assert list(line) == ["step", "label", "score", "scores", "outputs"]
        assert line["step"] == step
        assert line["outputs"] == pytest.approx(scores, abs=1e-6)
        assert line["score"] == max(line["scores"].values()) == line["scores"][line["label"]]
    assert done.err.startswith("using onnx float32 (onnxruntime ")


def test_without_json_a_line_has_step_label_and_score(
    cli: RunCli, sensors: Path, give: Callable[[str], None]
) -> None:
    give(lines_of())
    out = cli("predict", sensors, "--stream", "--target", "pure").out
    for step, (line, scores) in enumerate(
        zip(out.splitlines(), expected_scores(sensors), strict=True), 1
    ):
        assert line == f"{step}  {int(np.argmax(scores))}  {max(scores):.6f}"


def test_an_empty_line_starts_a_new_sequence_and_a_header_is_left_out(
    cli: RunCli, sensors: Path, give: Callable[[str], None]
) -> None:
    give("x,y,z\n" + lines_of(ROWS[:2]) + "\n" + lines_of(ROWS[:1]))
    done = cli("predict", sensors, "--stream")
    assert [line.split()[0] for line in done.out.splitlines()] == ["1", "2", "1"]
    assert done.out.splitlines()[0] == done.out.splitlines()[2]
    assert "line 1 is taken for the names of columns: x,y,z" in done.err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1,2\n", "line 1: it has 2 numbers, the model takes 3 a timestep"),
        ("1,2,3\n1,2,3,4\n", "line 2: it has 4 numbers, the model takes 3 a timestep"),
        ("1,2,3\n1,two,3\n", "line 2: 'two' is no number"),
        ("1,2,nan\n", "line 1: 'features' holds nan: features must be finite numbers of float32"),
        ("1,2,1e99\n", "line 1: 'features' holds 1e+99"),
    ],
)
def test_a_line_that_is_no_step_is_named(
    cli: RunCli, sensors: Path, give: Callable[[str], None], text: str, why: str
) -> None:
    give(text)
    assert cli("predict", sensors, "--stream").complaint.startswith(why)


def test_bytes_that_are_no_text_and_endless_lines_are_named(
    cli: RunCli, sensors: Path, tmp_path: Path
) -> None:
    path = tmp_path / "steps.csv"
    for data, why in ((b"1,2,3\n\xff\n", "line 2: byte 0xff"), (b"1" * 2**21, "line 1 is longer")):
        path.write_bytes(data)
        assert cli("predict", sensors, "--stream", "--file", path).complaint.startswith(why)
    assert "cannot read" in cli("predict", sensors, "--stream", "--file", tmp_path / "no").complaint


def test_arrays_are_fed_sequence_by_sequence(cli: RunCli, sensors: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.stack([ROWS, ROWS]))
    twice = cli("predict", sensors, "--stream", "--file", path).out
    np.savez(path, x=ROWS)
    once = cli("predict", sensors, "--stream", "--file", path).out
    assert len(once.splitlines()) == 4
    assert twice == once * 2


def test_words_one_a_line_or_as_arguments(
    cli: RunCli, written_bundle: Path, give: Callable[[str], None]
) -> None:
    give("w1\nnever-seen\nw2 w3\n")
    done = cli("predict", written_bundle, "--stream", "--json")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [(line["step"], line["text"]) for line in found] == [(1, "w1"), (3, "w2 w3")]
    assert "line 2: 'never-seen' has no token that the model knows" in done.err
    assert "using reference float32" in done.err
    named = cli("predict", written_bundle, "--stream", "w1", "w2", "w3")
    assert named.out.splitlines()[-1].split()[:2] == ["3", found[-1]["label"]]


def test_a_named_artifact_that_does_not_stream_is_refused(
    cli: RunCli, written_bundle: Path
) -> None:
    done = cli("predict", written_bundle, "--stream", "--target", "onnx", "w1")
    assert (
        "has no streaming file for onnx float32: convert it again with --stream" in done.complaint
    )


def test_a_line_is_answered_before_the_next_one_comes(sensors: Path) -> None:
    words = ("predict", str(sensors), "--stream", "--target", "pure")
    command = [sys.executable, "-m", "gatelet", *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for step in (b"1", b"2"):
            process.stdin.write(b"0.1,0.2,0.3\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(step)
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_rows_of_numbers_are_predicted_without_a_stream_too(
    cli: RunCli, sensors: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x=np.stack([ROWS, ROWS[::-1]]))
    done = cli("predict", sensors, "--file", path, "--json", "--target", "onnx")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [list(line) for line in found] == [["row", "label", "score", "scores", "outputs"]] * 2
    assert found[0]["outputs"] == pytest.approx(expected_scores(sensors)[-1], abs=1e-6)
    plain = cli("predict", sensors, "--file", path, "--target", "onnx").out.splitlines()
    assert plain[1] == f"1  {found[1]['label']}  {found[1]['score']:.6f}"
    np.savez(path, x=ROWS)
    assert "'features' has the shape [4, 3]" in cli("predict", sensors, "--file", path).complaint


@pytest.mark.parametrize(
    ("flags", "wanted"), [((), None), (("--stream",), True), (("--no-stream",), False)]
)
def test_convert_is_told_whether_to_stream(
    cli: RunCli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flags: tuple[str, ...],
    wanted: bool | None,
) -> None:
    seen: list[Any] = []

    def record(*given: Any, **settings: Any) -> None:
        seen.append(settings["stream"])
        raise ConversionError("enough")

    monkeypatch.setattr("gatelet.cli.convert.convert_with_report", record)
    cli("convert", tmp_path / "m.keras", "--out", tmp_path / "out", *flags)
    assert seen == [wanted]


def test_inspect_tells_what_streams(cli: RunCli, sensors: Path, written_bundle: Path) -> None:
    assert "streaming  onnx float32, onnx dynamic-int8\n" in cli("inspect", sensors).out
    assert "streaming" not in cli("inspect", written_bundle).out
