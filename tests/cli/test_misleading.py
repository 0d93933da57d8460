"""What the commands print beside a figure that would mislead alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli.parity import print_report
from gatelet.convert.parity import ArtifactReport, ParityReport
from gatelet.convert.parity.checks.costs import check_flips
from gatelet.convert.parity.checks.spread import Spread
from gatelet.convert.parity.limits import Settings, bounds_of
from gatelet.convert.tolerances import TOLERANCES
from gatelet.runtime import load, open_bundle
from tests.cli.conftest import Done

RunCli = Callable[..., Done]
WriteBundle = Callable[..., Path]
N = 400


def texts_of(path: Path, labels: Sequence[object], names: Sequence[str] = ("0", "1")) -> Path:
    """Write N texts and one label each; without labels, what the model itself says."""
    rng = np.random.default_rng(2)
    texts = [" ".join(f"w{i}" for i in row) for row in rng.integers(1, 49, (N, 6))]
    rows = zip(texts, labels, strict=True)
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return path


def said(bundle: Path, path: Path) -> list[int]:
    """Return the number of the label that the bundle gives each of the texts."""
    texts = [line.rpartition(",")[0] for line in path.read_text().splitlines()[1:]]
    predictor = load(bundle, target="onnx", scheme="float32")
    return [predictor.labels.index(str(one.label)) for one in predictor.predict(texts)]


@pytest.fixture
def data(tmp_path: Path, bundle: Path, edit_manifest: Callable[..., None]) -> Path:
    """Write texts with the labels that the bundle gives nine of ten: of either as many."""
    path = texts_of(tmp_path / "data.csv", [0] * N)
    texts = [line.rpartition(",")[0] for line in path.read_text().splitlines()[1:]]
    scores = load(bundle, target="onnx", scheme="float32").scores(texts)
    edit_manifest(bundle, threshold=float(np.median(np.asarray(scores))))
    right = [(1 - one) if i % 10 == 0 else one for i, one in enumerate(said(bundle, path))]
    return texts_of(path, right)


def test_the_answer_that_needs_no_model_stands_beside_accuracy(
    cli: RunCli, bundle: Path, data: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    done = cli("parity", bundle, "--data", data, "--no-keras", "--report", report)
    assert done.code == 0, done
    share = max(map(data.read_text().count, (",0\n", ",1\n"))) / N
    (line,) = (one for one in done.out.splitlines() if "in brackets those of always" in one)
    assert f"accuracy 0.9 ({share:.4g})" in line
    assert "baseline: always " in report.read_text()
    assert "warning" not in done.out


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        (
            [[0.498]] * 3 + [[0.1]] + [[0.7]] * 96,
            [[0.5]] * 3 + [[0.9]] + [[0.7]] * 96,
            "4 of 100 labels changed; 3 of them had scores within 0.002 of the threshold",
        ),
        (
            [[0.51, 0.49], [0.1, 0.9]],
            [[0.5, 0.5], [0.2, 0.8]],
            "",
        ),
        (
            [[[0.2, 0.8], [0.7, 0.3]], [[0.6, 0.4], [0.9, 0.1]]],
            [[[0.2, 0.8], [0.7, 0.3]], [[0.4, 0.6], [0.9, 0.1]]],
            "1 of 4 labels changed",
        ),
    ],
    ids=["a threshold", "none", "a tagger"],
)
def test_all_labels_that_changed_are_in_the_column_and_their_scores_on_a_line(
    written_bundle: Path,
    capsys: pytest.CaptureFixture[str],
    found: Any,
    expected: Any,
    said: str,
) -> None:
    scores, right = np.array(found), np.array(expected)
    bounds = bounds_of(TOLERANCES["onnx", "dynamic-int8"], Settings(), exact=1e-5, made_up=True)
    check = check_flips((scores, right), Spread.of(right), bounds, threshold=0.5)
    one = ArtifactReport("onnx", "dynamic-int8", (check,))
    print_report(open_bundle(written_bundle), ParityReport(len(right), ("graph",), (one,)))
    header, row, *lines = capsys.readouterr().out.splitlines()
    assert row[header.index("flips") :].split()[0] == f"{check.figure:.3g}"
    assert any(said in line for line in lines) if said else not lines


DOUBTED: dict[str, tuple[Callable[[list[int]], list[int]], str]] = {
    "labels exchanged": (lambda given: [1 - one for one in given], "convert with --labels 1,0"),
    "answers of chance": (
        lambda given: np.random.default_rng(3).integers(0, 2, N).tolist(),
        "--epochs",
    ),
    "the other label nearly always": (
        lambda given: [int(i % 5 == 0) for i in range(N)],
        "it has learnt nothing",
    ),
}


@pytest.mark.parametrize("case", DOUBTED)
def test_a_model_that_knows_nothing_is_warned_of_with_what_mends_it(
    cli: RunCli, bundle: Path, data: Path, case: str
) -> None:
    answers, mends = DOUBTED[case]
    texts_of(data, answers(said(bundle, data)))
    words = ("parity", bundle, "--data", data, "--no-keras")
    done = cli(*words)
    warned = [line for line in done.out.splitlines() if line.startswith("warning: ")]
    assert done.code == 0 and len(warned) == 1 and mends in warned[0], done
    assert cli(*words, "--strict").code == 1


@pytest.mark.parametrize(("outputs", "unit"), [(1, 1.0), (1, 1e4), (3, 1e-4)])
def test_each_artifact_of_a_regression_shows_its_errors(
    cli: RunCli, tmp_path: Path, write_bundle: WriteBundle, outputs: int, unit: float
) -> None:
    values = write_bundle(
        tmp_path / "values", labels=(), outputs=outputs, features=3, with_vectorizer=False
    )
    x = np.random.default_rng(5).normal(size=(N, 6, 3)).astype(np.float32)
    scores: dict[str, Any] = {
        scheme: np.asarray(load(values, target="onnx", scheme=scheme).scores(x), np.float64)
        for scheme in ("float32", "dynamic-int8")
    }
    y = scores["float32"] + 0.01 * unit * np.random.default_rng(6).normal(size=(N, outputs))
    np.savez(tmp_path / "x.npz", x=x, y=y)
    done = cli("parity", values, "--data", tmp_path / "x.npz", "--no-keras")
    header, *table = done.out.splitlines()
    title = "R2 a horizon" if outputs > 1 else "R2"
    assert "MAE" in header and title in header
    for scheme, found in scores.items():
        (line,) = (one for one in table if one.split()[:2] == ["onnx", scheme])
        mae = np.abs(found - y).mean(axis=0)
        assert all(f"{one:.3g}" in line.split() for one in mae), (line, mae)
