"""Limits of the user's own, by flags and by `gatelet.toml`, and sentences for bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from gatelet.cli.main import main
from gatelet.convert.parity.limits import Settings, bounds_of, find_settings, read_settings
from gatelet.convert.tolerances import TOLERANCES
from gatelet.errors import ConfigError

ROWS = 600
INT8 = ("onnx", "dynamic-int8")


@pytest.fixture
def data(bundle: Path) -> Path:
    """Write labelled texts for the tiny bundle."""
    lines = [
        json.dumps({"text": f"w{i % 48 + 1} w{i % 7 + 1} w{i % 11 + 1}", "label": str(i % 2)})
        for i in range(ROWS)
    ]
    path = bundle.parent / "rows.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return path


def parity(bundle: Path, data: Path, *flags: str) -> int:
    return main(["parity", str(bundle), "--data", str(data), "--no-keras", *flags])


def verdicts(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the verdicts of the float32 artifact's checks."""
    report = json.loads(capsys.readouterr().out)
    return {check["name"]: check["verdict"] for check in report["artifacts"][0]["checks"]}


# ---- Flags -------------------------------------------------------------------------------


def test_a_difference_above_atol_fails(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parity(bundle, data, "--json") == 0
    assert set(verdicts(capsys).values()) == {"pass", "shown"}
    assert parity(bundle, data, "--json", "--atol", "1e-12") == 1
    found = verdicts(capsys)
    assert found["scores_atol"] == "fail"
    assert found["ids"] == found["flips"] == found["scores_max"] == "pass"


def test_each_limit_replaces_its_own_only() -> None:
    usual = bounds_of(TOLERANCES[INT8], Settings(), exact=1e-5)
    flips = bounds_of(TOLERANCES[INT8], Settings(max_flips=0.25), exact=1e-5)
    drop = bounds_of(TOLERANCES[INT8], Settings(max_accuracy_drop=0.0), exact=1e-5)
    assert (flips.flips, flips.quality_drop) == (0.25, usual.quality_drop)
    assert (drop.flips, drop.quality_drop) == (usual.flips, 0.0)


def test_a_drop_that_is_asked_for_without_labels_is_undecided_not_silent(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = data.with_name("bare.jsonl")
    bare.write_text("\n".join(json.dumps({"text": f"w{i % 48 + 1}"}) for i in range(ROWS)), "utf-8")
    assert parity(bundle, bare, "--json") == 0
    assert "accuracy_drop" not in verdicts(capsys)
    asked = ("--max-accuracy-drop", "0.01")
    assert parity(bundle, bare, "--json", *asked) == 0
    found = json.loads(capsys.readouterr().out)["artifacts"][0]
    (drop,) = (check for check in found["checks"] if check["name"] == "accuracy_drop")
    assert (drop["figure"], drop["limit"], drop["verdict"]) == (None, 0.01, "undecided")
    assert "no labels" in drop["note"]
    assert parity(bundle, bare, *asked, "--strict") == 1
    assert main(["parity", str(bundle), "--no-keras", *asked, "--strict"]) == 1
    assert "no labels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--max-flips", "1.5"), "max_flips is 1.5: expected a number, 0 to 1"),
        (("--max-accuracy-drop", "-0.1"), "max_accuracy_drop is -0.1"),
        (("--atol", "nan"), "atol is nan: expected a number, 0 or more"),
    ],
)
def test_an_impossible_limit_is_refused(
    bundle: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    flags: tuple[str, str],
    said: str,
) -> None:
    assert parity(bundle, data, *flags) == 2
    assert said in capsys.readouterr().err


# ---- gatelet.toml ------------------------------------------------------------------------


def test_limits_come_from_a_file_beside_the_data(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data.parent / "gatelet.toml").write_text("[parity]\natol = 1e-12\n", "utf-8")
    assert parity(bundle, data) == 1
    assert "limits of '" in capsys.readouterr().err
    assert parity(bundle, data, "--atol", "0.1") == 0  # a flag goes over the file


def test_the_file_of_the_current_folder_goes_before_that_of_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data" / "rows.csv"
    data.parent.mkdir()
    (data.parent / "gatelet.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert find_settings(data) == data.parent / "gatelet.toml"
    assert find_settings(None) is None
    Path("gatelet.toml").write_text("")
    assert find_settings(data) == Path("gatelet.toml")


def test_strict_of_the_file_makes_undecided_a_failure(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = data.with_name("few.jsonl")
    few.write_text("\n".join(data.read_text("utf-8").splitlines()[:60]), "utf-8")
    assert parity(bundle, few) == 0
    out = capsys.readouterr().out
    said = "parity over 60 texts of 'few.jsonl' against graph: undecided"
    assert out.splitlines()[-1] == said
    assert "more rows would decide" in out
    (data.parent / "gatelet.toml").write_text("[parity]\nstrict = true\n", "utf-8")
    assert parity(bundle, few) == 1


def test_other_tables_are_others_business(tmp_path: Path) -> None:
    path = tmp_path / "gatelet.toml"
    path.write_text("[serve]\nport = 1\n", "utf-8")
    assert read_settings(path) == Settings()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("parity = 3", "parity is no table"),
        ("[parity]\nmax_flip = 0.1", "has the key 'max_flip', which is not known"),
        ("[parity]\natol = 'small'", "the limit atol is 'small'"),
        ("[parity]\nmax_flips = true", "the limit max_flips is True"),
        ("[parity]\nstrict = 1", "strict is 1: expected true or false"),
        ("[parity", "Expected ']' at the end"),
    ],
)
def test_a_file_that_says_nothing_usable_is_refused(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "gatelet.toml"
    path.write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=f"gatelet.toml.*{said}"):
        read_settings(path)


# ---- Bad input ---------------------------------------------------------------------------


def refused(bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one sentence that a run ends with."""
    assert parity(bundle, data) == 1
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    return err.splitlines()[-1]


def test_a_label_that_the_bundle_does_not_know(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text('{"text": "w1", "label": "0"}\n{"text": "w2", "label": "maybe"}\n', "utf-8")
    said = refused(bundle, data, capsys)
    assert "has the label 'maybe' (row 2); the model knows: '0', '1'" in said


def test_an_empty_file(bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.write_text("", "utf-8")
    assert "is empty: expected texts" in refused(bundle, data, capsys)


def test_features_for_a_model_of_texts(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data.with_suffix(".npz")
    np.savez(path, x=np.random.default_rng(1).normal(size=(30, 10, 3)), y=np.zeros(30))
    said = refused(bundle, path, capsys)
    assert "holds features, float64 [30, 10, 3], and the model takes token ids" in said
    np.savez(path, x=np.full((30, 10), 1.5), y=np.zeros(30))
    assert "the model takes token ids" in refused(bundle, path, capsys)


def test_one_row_is_judged_and_its_quality_left_undecided(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text('{"text": "w1 w2", "label": "1"}\n', "utf-8")
    assert parity(bundle, data) == 0
    out = capsys.readouterr().out
    assert "constant: not checked; with one row no output can vary" in out
    assert "accuracy_drop is 0 share" in out
    said = "parity over 1 texts of 'rows.jsonl' against graph: undecided"
    assert out.splitlines()[-1] == said


def test_texts_of_another_language_are_said_to_be(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"text": f"ein ganz anderer Satz w{i % 9 + 1}"}) for i in range(40)]
    data.write_text("\n".join(lines), "utf-8")
    assert parity(bundle, data) == 0
    out = capsys.readouterr().out
    assert "note: 80% of the words are not in the model's vocabulary" in out
    assert parity(bundle, data, "--json") == 0
    _, copies = json.loads(capsys.readouterr().out)["notes"]
    assert copies == "of 40 rows 9 are distinct: copies count once"


def test_a_bundle_whose_labels_are_numbers_of_a_regression(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = bundle / "manifest.json"
    content = json.loads(manifest.read_bytes()) | {"labels": []}
    manifest.write_text(json.dumps(content), "utf-8")
    data.write_text('{"text": "w1", "label": "0.4"}\n{"text": "w2", "label": "tall"}\n', "utf-8")
    assert "has the label 'tall' (row 2), and the model gives numbers" in refused(
        bundle, data, capsys
    )


def test_a_copied_file_of_limits_does_not_count(bundle: Path, data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "gatelet.toml").write_text("[parity]\natol = 1e-12\n", "utf-8")
    assert parity(bundle, Path(shutil.copy(data, tmp_path / "copy.jsonl"))) == 0
