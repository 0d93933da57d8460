from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatelet.errors import ConfigError
from gatelet.train.config import TrainConfig, settings


def resolve(**overrides: object) -> TrainConfig:
    return TrainConfig.resolve(overrides={"data": "d.csv", "out": "run", **overrides})


def test_the_defaults_are_the_classic_network() -> None:
    config = resolve()
    assert (config.vocabulary, config.maxlen, config.padding) == (10_000, 100, "pre")
    assert (config.embedding, config.cell, config.units) == (64, "lstm", 64)
    assert (config.layers, config.pooling, config.conv) == (1, "last", 0)
    assert (config.batch_size, config.mask_zero, config.bidirectional) == (None, False, False)


def test_flags_go_over_the_file_over_the_corpus_over_the_defaults(tmp_path: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text('corpus = "reviews-zh"\nout = "there"\nunits = 32\nepochs = 3\n')
    config = TrainConfig.resolve(toml=toml, overrides={"epochs": 4, "out": "here", "seed": None})
    assert (config.epochs, config.units, config.char_level) == (4, 32, True)
    assert (config.out, config.seed) == (Path("here"), 1)
    toml.write_text('corpus = "reviews-zh"\nchar_level = false\n')
    assert not TrainConfig.from_toml(toml, out="run").char_level


def test_a_flag_for_the_data_replaces_the_corpus_of_the_file(tmp_path: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text('corpus = "reviews-zh"\nout = "run"\n')
    config = TrainConfig.from_toml(toml, data="d.csv")
    assert (config.corpus, config.data, config.char_level) == (None, Path("d.csv"), False)


@given(
    filters=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    learning_rate=st.floats(1e-7, 1),
    oov_token=st.none() | st.just('<"unknown\\">'),
)
def test_what_is_written_as_toml_is_read_as_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    filters: str,
    learning_rate: float,
    oov_token: str | None,
) -> None:
    config = resolve(
        filters=filters, learning_rate=learning_rate, oov_token=oov_token, char_level=True
    )
    toml = tmp_path_factory.mktemp("config") / "config.toml"
    toml.write_bytes(config.to_toml().encode("utf-8"))
    assert TrainConfig.from_toml(toml) == config


def test_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    toml = tmp_path / "config.toml"
    toml.write_text("unit = 3\n")
    expected = r"unknown setting 'unit' in '.*config\.toml'; did you mean 'units'\?"
    with pytest.raises(ConfigError, match=expected):
        TrainConfig.from_toml(toml)
    with pytest.raises(ConfigError, match="unknown setting 'qqq'; known: out, data, corpus"):
        resolve(qqq=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"units = ", "is not TOML: Invalid value"),
        (b"units = 3\n\xff", "is not UTF-8: byte 10"),
        (b"[units]\n", r"'units' is \{\}; allowed: an integer from 1 to 4,096"),
    ],
)
def test_refuses_a_damaged_file(tmp_path: Path, content: bytes, message: str) -> None:
    toml = tmp_path / "config.toml"
    toml.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_toml(toml, data="d.csv", out="run")


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read '.*missing\.toml': No such file"):
        TrainConfig.from_toml(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("units", 0, "an integer from 1 to 4,096"),
        ("units", 64.0, "an integer from 1 to 4,096"),
        ("units", "64", "an integer from 1 to 4,096"),
        ("units", True, "an integer from 1 to 4,096"),
        ("vocabulary", 1, "an integer from 2 to 1,000,000"),
        ("dropout", 1.0, "a number from 0 to 0.95"),
        ("dropout", float("nan"), "a number from 0 to 0.95"),
        ("learning_rate", float("inf"), "a number from 1e-07 to 1"),
        ("padding", "left", "'pre' or 'post'"),
        ("cell", "transformer", "'lstm' or 'gru' or 'rnn'"),
        ("pooling", "first", "'last' or 'mean' or 'max'"),
        ("layers", 0, "an integer from 1 to 16"),
        ("lower", 1, "true or false"),
        ("filters", 3, "text that UTF-8 can encode"),
        ("filters", "\ud800", "text that UTF-8 can encode"),
        ("data", "d\udcff.csv", "text that UTF-8 can encode"),
        ("seed", -1, "an integer from 0 to 4,294,967,295"),
    ],
)
def test_refuses_a_value_with_its_field_and_range(name: str, value: object, allowed: str) -> None:
    with pytest.raises(ConfigError, match="allowed") as caught:
        resolve(**{name: value})
    assert str(caught.value).startswith(f"'{name}' is ")
    assert caught.value.facts["field"] == name
    assert caught.value.facts["allowed"] == allowed


def test_refuses_an_empty_split_of_words_only() -> None:
    with pytest.raises(ConfigError, match="'split' is empty"):
        resolve(split="")
    assert resolve(split="", char_level=True).split == ""


def test_wants_data_or_a_corpus_and_a_place() -> None:
    with pytest.raises(ConfigError, match="either data or corpus, got neither"):
        TrainConfig.resolve(overrides={"out": "run"})
    with pytest.raises(ConfigError, match="got both; corpus 'reviews-en' needs no data"):
        resolve(corpus="reviews-en")
    with pytest.raises(ConfigError, match="'out' is missing"):
        TrainConfig.resolve(overrides={"data": "d.csv"})
    assert resolve(corpus="imdb").data == Path("d.csv")


def test_an_unknown_corpus_names_the_nearest_and_all() -> None:
    expected = r"'review-en' is unknown; did you mean 'reviews-en'\?; known: reviews-en, reviews-zh"
    with pytest.raises(ConfigError, match=expected):
        TrainConfig.resolve(overrides={"corpus": "review-en", "out": "run"})


def test_every_setting_can_be_a_flag() -> None:
    by_flag = {setting.flag: setting for setting in settings()}
    assert by_flag["--batch-size"].kind is int
    assert by_flag["--batch-size"].default is None
    assert by_flag["--char-level"].kind is bool
    assert by_flag["--oov-token"].kind is str
    assert by_flag["--out"].kind is Path
    assert all(setting.help for setting in settings())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"conv": 8, "mask_zero": True}, "'conv' and 'mask_zero' exclude each other"),
        (
            {"conv": 8, "conv_width": 9, "maxlen": 8},
            "'conv_width' is 9, and texts have 8 timesteps",
        ),
        ({"pooling": "mean", "mask_zero": True}, "'pooling' 'mean' and 'mask_zero' exclude each"),
    ],
)
def test_refuses_layers_that_do_not_go_together(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve(**settings)
