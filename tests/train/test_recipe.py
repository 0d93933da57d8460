"""Recipes: named ones, files, what goes over what, and that a run's own gives the run again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gatelet.cli import main
from gatelet.errors import ConfigError
from gatelet.train import TrainConfig
from gatelet.train.config import settings
from gatelet.train.model import Network
from gatelet.train.recipe import read_toml, recipe_file, recipe_names


def resolve(recipe: str | None, **overrides: object) -> TrainConfig:
    return TrainConfig.resolve(
        recipe=recipe, overrides={"data": "d.csv", "out": "run", **overrides}
    )


def test_the_default_recipe_is_what_no_recipe_gives() -> None:
    assert resolve("default") == resolve(None)
    assert resolve(None).described() == "default"


def test_the_seed_recipe_is_the_classic_one() -> None:
    config = resolve("seed")
    assert (config.vocabulary, config.maxlen, config.embedding) == (10_000, 100, 64)
    assert (config.cell, config.units, config.layers, config.pooling) == ("lstm", 64, 1, "last")
    assert (config.epochs, config.batch_size, config.learning_rate) == (10, 64, 1e-3)
    assert config.patience >= config.epochs
    assert (config.dropout, config.averaging, config.word_dropout) == (0, 0, 0)
    assert (config.label_smoothing, config.weight_decay, config.schedule) == (0, 0, "constant")
    assert (config.memory, config.pretrained) == (0, 0)
    assert not (config.bidirectional or config.conv or config.mask_zero)


def test_every_named_recipe_says_all_that_another_says() -> None:
    keys = [set(read_toml(recipe_file(name))) for name in recipe_names()]
    assert recipe_names() == ("default", "seed")
    assert keys[1] - keys[0] == {"batch_size"} and keys[0] < keys[1]  # by the rows, if not given
    assert keys[1] < {one.name for one in settings()}


def test_flags_go_over_the_config_over_the_recipe(tmp_path: Path) -> None:
    recipe, toml = tmp_path / "mine.toml", tmp_path / "config.toml"
    recipe.write_text('corpus = "reviews-zh"\nunits = 8\nepochs = 2\npatience = 9\nout = "a"\n')
    toml.write_text('data = "d.csv"\nunits = 16\nepochs = 3\n')
    config = TrainConfig.resolve(
        recipe=str(recipe), toml=toml, overrides={"units": 32, "seed": None}
    )
    assert (config.units, config.epochs, config.patience, config.out) == (32, 3, 9, Path("a"))
    assert (config.corpus, config.data) == (None, Path("d.csv"))
    assert config.described() == "default, but units = 32, epochs = 3, patience = 9"


def test_a_name_goes_before_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seed").write_text("units = 1\n")
    Path("mine").write_text("units = 1\n")
    assert resolve("seed").units == 64
    assert resolve("mine").units == 1


def test_what_is_unknown_is_told_with_the_closest_name(tmp_path: Path) -> None:
    expected = r"no recipe 'sed'; did you mean 'seed'\?; known: default, seed, or the path of"
    with pytest.raises(ConfigError, match=expected):
        resolve("sed")
    with pytest.raises(ConfigError, match=r"cannot read '.*gone\.toml': No such file"):
        resolve(str(tmp_path / "gone.toml"))
    (tmp_path / "mine.toml").write_text("word_dropuot = 0.1\n")
    expected = r"'word_dropuot' in '.*mine\.toml'; did you mean 'word_dropout'\?"
    with pytest.raises(ConfigError, match=expected):
        resolve(str(tmp_path / "mine.toml"))


@pytest.mark.ci  # two trainings
def test_the_config_of_a_run_as_recipe_gives_the_same_bits(
    tmp_path: Path, write_reviews: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_reviews(tmp_path / "reviews.csv")
    words = ["--recipe", "seed", "--maxlen=12", "--units=6", "--embedding=6", "--epochs=2"]
    words += ["--word-dropout=0.2", "--label-smoothing=0.1", "--schedule=cosine"]
    first, again = tmp_path / "first", tmp_path / "again"
    assert main(["train", "--data", str(data), "--out", str(first), *words]) == 0
    assert "recipe: default, but maxlen = 12, embedding = 6, units = 6," in capsys.readouterr().err
    recipe = str(first / "config.toml")
    assert main(["train", "--recipe", recipe, "--out", str(again), "--seed=1"]) == 0
    one, other = (Network.load(run / "model.keras").weights() for run in (first, again))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    for name in ("metrics.json", "history.json", "vectorizer.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    assert read_toml(first / "config.toml") == read_toml(again / "config.toml") | {
        "out": str(first)
    }


def test_few_rows_are_learned_in_small_steps_unless_a_size_is_given() -> None:
    config = TrainConfig(corpus="reviews-en", out=Path("run"))
    sizes = [config.rows_a_step(rows) for rows in (100_000, 6_144, 6_143, 1_000, 200, 1)]
    assert sizes == [128, 128, 64, 16, 8, 8]
    for given in (1, 4_096):
        config = TrainConfig(corpus="reviews-en", out=Path("run"), batch_size=given)
        assert config.rows_a_step(200) == given
