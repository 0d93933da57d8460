"""What `gatelet train` and `gatelet quickstart` print; the training itself is left out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.cli import convert as convert_command
from gatelet.cli import quickstart as quickstart_command
from gatelet.cli import train as train_command
from gatelet.convert.parity import ArtifactReport, Check, ParityReport
from gatelet.errors import ParityRefused
from gatelet.runtime import load, open_bundle
from gatelet.runtime.data.run import Run
from gatelet.train.config import TrainConfig

RunCli = Callable[..., Any]


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """Replace training by a run with figures; give the configurations that it was called with."""
    seen: list[TrainConfig] = []
    run = Run(path=tmp_path / "run", labels=("0", "1"), task="binary")
    run.path.mkdir()
    (run.path / "metrics.json").write_text('{"accuracy": 0.8125, "rows": 1600}')

    def train(config: TrainConfig, *, resume: bool = False, tensorboard: Path | None = None) -> Run:
        assert not resume
        seen.append(config)
        return run

    monkeypatch.setattr(train_command, "train", train)
    monkeypatch.setattr(quickstart_command, "train", train)
    return seen


@pytest.fixture
def converted(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], list[dict[str, object]]]:
    """Return a function that replaces conversion by the tiny bundle and a verdict."""

    def set_verdict(verdict: str) -> list[dict[str, object]]:
        calls: list[dict[str, object]] = []
        reports = tuple(
            ArtifactReport("onnx", scheme, (Check("scores_max", 0.0, 0.1, verdict),))
            for scheme in ("float32", "dynamic-int8")
        )

        def convert(model: object, out: Path, **settings: object) -> object:
            calls.append({"out": out, **settings})
            return open_bundle(bundle), ParityReport(1234, ("graph",), reports)

        monkeypatch.setattr(quickstart_command, "convert_with_report", convert)
        monkeypatch.setattr(quickstart_command, "load", lambda out: load(bundle))
        return calls

    return set_verdict


def test_train_prints_figures_and_the_next_command(
    cli: RunCli, configs: list[TrainConfig], tmp_path: Path
) -> None:
    done = cli("train", "--data", "x.csv", "--out", "r", "--epochs", "3", "--units", "8")
    assert done.out == (
        "test accuracy 0.8125 on 1,600 rows\n"
        f"next: gatelet convert {tmp_path / 'run'} --out BUNDLE\n"
    )
    (config,) = configs
    assert (config.data, config.out) == (Path("x.csv"), Path("r"))
    assert (config.epochs, config.units) == (3, 8)


def test_train_json_has_the_figures(
    cli: RunCli, configs: list[TrainConfig], tmp_path: Path
) -> None:
    done = cli("train", "--data", "x.csv", "--out", "r", "--json")
    assert json.loads(done.out) == {
        "run": str(tmp_path / "run"),
        "accuracy": 0.8125,
        "rows": 1600,
    }
    assert done.out.count("\n") == 1


def test_flags_of_train_come_before_its_file(
    cli: RunCli, configs: list[TrainConfig], tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text('data = "x.csv"\nout = "r"\nepochs = 9\nunits = 16\n')
    assert cli("train", "--config", tmp_path / "c.toml", "--units", "8").code == 0
    assert (configs[0].epochs, configs[0].units) == (9, 8)


@pytest.mark.parametrize(("verdict", "code"), [("pass", 0), ("fail", 1), ("undecided", 0)])
def test_quickstart_ends_with_a_table_and_two_predictions(
    cli: RunCli,
    configs: list[TrainConfig],
    converted: Callable[[str], list[dict[str, object]]],
    tmp_path: Path,
    verdict: str,
    code: int,
) -> None:
    calls = converted(verdict)
    done = cli("quickstart", "--out", tmp_path / "demo")
    assert done.code == code
    assert calls[0]["out"] == tmp_path / "demo"
    assert (configs[0].corpus, configs[0].out) == ("reviews-en", tmp_path / "demo-run")
    lines = done.out.splitlines()
    assert lines[0] == "test accuracy 0.8125"
    header = ["target", "scheme", "bytes", "of", "float32", "parity", "median", "latency"]
    assert lines[2].split() == header
    for line, scheme in zip(lines[3:5], ("float32", "dynamic-int8"), strict=True):
        cells = line.split()
        assert cells[:2] == ["onnx", scheme]
        assert cells[4:] == ["pass", cells[5], "us"]
        assert float(cells[5].replace(",", "")) > 0
    assert lines[3].split()[3] == "1.000"
    assert lines[6] == f"parity over 1,234 test texts against graph: {verdict}"
    for line, text in zip(lines[8:10], quickstart_command.DEFAULT_TEXTS, strict=True):
        label, score, shown = line.split("  ")
        assert label in ("0", "1") and 0.5 <= float(score) <= 1 and shown == text
    assert lines[-1] == f"next: gatelet predict {tmp_path / 'demo'} 'a wonderful film'"


def test_an_out_without_a_name_of_its_own_gets_one(
    cli: RunCli,
    configs: list[TrainConfig],
    converted: Callable[[str], list[dict[str, object]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = converted("pass")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert cli("quickstart", "--out", ".").code == 0
    assert calls[0]["out"] == tmp_path / "empty"
    assert configs[0].out == tmp_path / "empty-run"
    assert convert_command.output_folder(Path("a/..")) == tmp_path / "empty"
    assert convert_command.output_folder(Path("a/b")) == Path("a/b")


def test_quickstart_on_a_corpus_uses_its_language(
    cli: RunCli,
    configs: list[TrainConfig],
    converted: Callable[[str], list[dict[str, object]]],
    tmp_path: Path,
) -> None:
    converted("pass")
    done = cli("quickstart", "--corpus", "reviews-zh", "--out", tmp_path / "zh")
    assert configs[0].corpus == "reviews-zh"
    assert quickstart_command.TEXTS["reviews-zh"][0] in done.out


def test_quickstart_whose_artifacts_all_failed_shows_them_and_exits_1(
    cli: RunCli,
    configs: list[TrainConfig],
    converted: Callable[[str], list[dict[str, object]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    converted("fail")

    def refuse(out: Path) -> None:
        raise ParityRefused("parity failed for onnx float32")

    monkeypatch.setattr(quickstart_command, "load", refuse)
    done = cli("quickstart", "--out", tmp_path / "demo")
    assert done.complaint == "parity failed for onnx float32"
    assert "parity over 1,234 test texts against graph: fail\n" in done.out
