"""What varies is read from TOML; what cannot vary is refused by name, in one sentence."""

from pathlib import Path

import pytest

from gatelet.errors import ConfigError
from gatelet.train import TrainConfig
from gatelet.train.tune.space import Range, Space, default_space, read_space, space_of

GOOD = """
cell = ["lstm", "gru"]
units = { low = 8, high = 64, log = true }
maxlen = { low = 20, high = 100, step = 20 }
dropout = { low = 0, high = 0.5 }
epochs = 3
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_lists_are_choices_and_tables_are_ranges(tmp_path: Path) -> None:
    space = read_space(write(tmp_path / "space.toml", GOOD))

    assert space.choices == {"cell": ("lstm", "gru"), "epochs": (3,)}
    assert space.ranges == {
        "units": Range(8, 64, log=True),
        "maxlen": Range(20, 100, step=20),
        "dropout": Range(0, 0.5),
    }
    assert space.names == ("cell", "dropout", "epochs", "maxlen", "units")
    assert space_of(space.to_json()) == Space({**space.choices, "epochs": (3,)}, dict(space.ranges))


def test_holds_what_it_may_propose() -> None:
    space = space_of(
        {"cell": ["gru", "lstm"], "maxlen": {"low": 20, "high": 100, "step": 20}, "patience": 1}
    )

    assert space.holds({"cell": "gru", "maxlen": 60, "units": 7, "patience": 2})
    assert not space.holds({"cell": "gru", "maxlen": 50})
    assert not space.holds({"cell": "gru", "maxlen": 120})
    assert not space.holds({"cell": "rnn", "maxlen": 60})
    assert not space.holds({"cell": "gru"})


def test_a_setting_that_is_given_does_not_vary() -> None:
    space = space_of({"cell": ["gru"], "units": {"low": 2, "high": 4}})

    assert space.without(["units", "seed"]).names == ("cell",)


@pytest.mark.parametrize("kind", ["texts", "features"])
def test_the_spaces_that_come_along_are_of_todays_settings(kind: str) -> None:
    space = default_space(kind)

    assert {"cell", "units", "learning_rate"} <= set(space.names)


def test_the_default_space_of_texts_holds_the_default_recipe() -> None:
    config = TrainConfig(out=Path("run"), data=Path("rows.csv"))
    space = default_space("texts")

    assert space.holds({name: getattr(config, name) for name in space.names})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("unit = [8]", ["unknown setting 'unit'", "did you mean 'units'?"]),
        ("[lstm]\nunits = [8]", ["unknown setting 'lstm'", "known: ", "units"]),
        ("zzz = [8]", ["unknown setting 'zzz'", "known: ", "units"]),
        ("seed = [1, 2]", ["'seed'", "cannot vary"]),
        ("data = ['x.csv']", ["'data'", "cannot vary"]),
        ("cell = ['lstn']", ["'cell' is 'lstn'", "'lstm' or 'gru'"]),
        ("cell = []", ["'cell'", "no choices"]),
        ("units = [8, 8]", ["'units'", "twice"]),
        ("units = [0]", ["'units' is 0", "an integer from 1 to 4,096"]),
        ("units = [true]", ["'units' is True"]),
        ("units = { low = 8 }", ["'units'", "no 'high'"]),
        ("units = { low = 8, high = 4 }", ["'units'", "goes from 8 to 4"]),
        ("units = { low = 8, high = 9999 }", ["'units' is 9999"]),
        ("units = { low = 1.5, high = 4 }", ["'units' is 1.5"]),
        ("units = { low = 8, high = 9, logs = true }", ["'logs'", "did you mean 'log'?"]),
        ("units = { low = 8, high = 9, log = 1 }", ["'log' = 1", "true or false"]),
        ("units = { low = 8, high = 9, step = 0 }", ["'step' = 0", "above 0"]),
        ("units = { low = 8, high = 9, step = 0.5 }", ["'step' = 0.5", "an integer"]),
        ("units = { low = 8, high = 9, step = 1, log = true }", ["'log' and 'step'"]),
        ("dropout = { low = 0, high = 0.5, log = true }", ["'dropout'", "begin above 0"]),
        ("cell = { low = 1, high = 2 }", ["'cell'", "no number", "list of choices"]),
        ("", ["empty"]),
        ("units = [", ["is not TOML"]),
    ],
)
def test_what_cannot_vary_is_refused(tmp_path: Path, text: str, words: list[str]) -> None:
    place = write(tmp_path / "space.toml", text)

    with pytest.raises(ConfigError) as found:
        read_space(place)

    message = str(found.value)
    assert [word for word in words if word not in message] == []
    assert "space.toml" in message and "\n" not in message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read '.*none.toml': No such file"):
        read_space(tmp_path / "none.toml")
