"""What can be set for a training run: one list of fields, for flags, TOML and Python alike.

Not the command line: `gatelet.cli` makes flags of `settings()`.
"""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from gatelet.errors import ConfigError
from gatelet.runtime.data.rounding import ROUNDED
from gatelet.runtime.vectorizer.tokenizer import KERAS_FILTERS
from gatelet.train.consistency import check_together
from gatelet.train.corpora import CORPORA
from gatelet.train.recipe import nearest, read_toml, recipe_file, toml_value
from gatelet.train.settings import Setting, about
from gatelet.train.tasks import METRICS, TASKS

SIDES = ("pre", "post")
CELLS = ("lstm", "gru", "rnn")
POOLINGS = ("last", "mean", "max")
SCHEDULES = ("constant", "linear", "cosine")

_PLACES = ("out", "data", "corpus", "text_column", "label_column", "baseline")
"""Settings that leave a network alone but for its rows: no part of what is described."""


MOST_ROWS_A_STEP, FEWEST_ROWS_A_STEP, STEPS_AN_EPOCH = 128, 8, 48
"""Where no batch size is given: the rows of a step, and the fewest steps of an epoch, if it can."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides what a training run gives.

    The defaults are the recipe 'default': the network of the recipe 'seed' (10,000 words, 100
    timesteps padded in front and not masked, Embedding(64), LSTM(64)), with what small data need
    against learning by heart. Averaged weights are what is kept: where the last step of an epoch
    leaves them is a matter of luck.

    Raises:
        ConfigError: A value is of the wrong type or out of range, or there is neither `data` nor
            `corpus`, or both. (Only the corpus 'imdb' takes both: `data` is then its folder.)
    """

    out: Path = field(metadata=about("run directory to write"))
    data: Path | None = field(
        default=None,
        metadata=about(
            "labelled texts: CSV, TSV or JSONL, also .gz, or a folder a label; or rows of numbers: "
            ".npz, a folder of them, or with --window CSV, TSV or Parquet"
        ),
    )
    corpus: str | None = field(default=None, metadata=about("public corpus to use, by name"))
    text_column: str = field(default="text", metadata=about("column of the texts"))
    label_column: str = field(default="label", metadata=about("column of the labels"))
    task: str | None = field(
        default=None,
        metadata=about("what is learned, where the data do not tell", choices=tuple(TASKS)),
    )
    label_columns: str | None = field(
        default=None,
        metadata=about("columns of 0 and 1, A,B: a row may have several labels; or of values"),
    )
    group: str | None = field(
        default=None,
        metadata=about("column of what belongs together, in one part; of windows, the recording"),
    )
    window: int | None = field(
        default=None, metadata=about("rows of numbers that a model is given", low=1, high=100_000)
    )
    stride: int | None = field(
        default=None,
        metadata=about(
            "rows from one window to the next, a window if not given", low=1, high=10**6
        ),
    )
    columns: str | None = field(
        default=None,
        metadata=about("columns of the features, A,B; if not given all numeric ones"),
    )
    horizon: int | None = field(
        default=None,
        metadata=about("next values of the label column to predict", low=1, high=10_000),
    )
    class_weights: str | None = field(
        default=None,
        metadata=about(
            "weights of labels in the loss, by how rare they are", choices=("balanced",)
        ),
    )
    metric: str = field(
        default="loss",
        metadata=about("figure of the validation part that selects the epoch", choices=METRICS),
    )
    tune_threshold: bool = field(
        default=False,
        metadata=about("choose thresholds on the validation part, by macro F1 or the metric"),
    )
    folds: int = field(
        default=0,
        metadata=about("trainings of a cross-validation, for its figures only", low=0, high=100),
    )
    vocabulary: int = field(
        default=10_000,
        metadata=about("most frequent words to keep, id 0 included", low=2, high=1_000_000),
    )
    maxlen: int = field(
        default=100, metadata=about("timesteps a text is padded or cut to", low=1, high=10_000)
    )
    padding: str = field(
        default="pre", metadata=about("side of a short text that is padded", choices=SIDES)
    )
    truncating: str = field(
        default="pre", metadata=about("side of a long text that is cut", choices=SIDES)
    )
    lower: bool = field(default=True, metadata=about("lower-case the texts"))
    filters: str = field(
        default=KERAS_FILTERS, metadata=about("characters that separate words and are dropped")
    )
    split: str = field(default=" ", metadata=about("text that separates words"))
    char_level: bool = field(default=False, metadata=about("take characters, not words, as tokens"))
    oov_token: str | None = field(
        default=None, metadata=about("token for unknown words, which are dropped without one")
    )
    embedding: int = field(default=64, metadata=about("width of the embedding", low=1, high=4_096))
    conv: int = field(
        default=0,
        metadata=about("filters of a convolution before the recurrence, or 0", low=0, high=4_096),
    )
    conv_width: int = field(
        default=5, metadata=about("timesteps that the convolution looks at", low=1, high=1_000)
    )
    cell: str = field(
        default="lstm", metadata=about("recurrent layer; rnn is SimpleRNN", choices=CELLS)
    )
    units: int = field(default=64, metadata=about("units of a recurrent layer", low=1, high=4_096))
    layers: int = field(
        default=1, metadata=about("recurrent layers, one on the other", low=1, high=16)
    )
    bidirectional: bool = field(
        default=False, metadata=about("read in both directions, with as many units each")
    )
    pooling: str = field(
        default="last",
        metadata=about("what of all timesteps the scores are made of", choices=POOLINGS),
    )
    dropout: float = field(
        default=0.3,
        metadata=about("share of the embedding's numbers that training drops", low=0, high=0.95),
    )
    mask_zero: bool = field(default=False, metadata=about("skip padding instead of reading it"))
    batch_size: int | None = field(
        default=None,
        metadata=about(
            "rows a step; if not given 128, or fewer where an epoch would have less than 48 steps",
            low=1,
            high=65_536,
        ),
    )
    epochs: int = field(default=8, metadata=about("most epochs to train", low=1, high=10_000))
    patience: int = field(
        default=2,
        metadata=about("epochs without a better one before training stops", low=1, high=10_000),
    )
    learning_rate: float = field(
        default=3e-3, metadata=about("step size of adam", low=1e-7, high=1)
    )
    averaging: float = field(
        default=0.4,
        metadata=about("epochs over which the weights are averaged", low=0, high=10),
    )
    aware: str | None = field(
        default=None,
        metadata=about(
            "scheme whose rounded weights are trained, and kept", choices=tuple(ROUNDED)
        ),
    )
    aware_epochs: int = field(
        default=6,
        metadata=about(
            "most epochs that train rounded weights, after the others, with 'aware'",
            low=1,
            high=10_000,
        ),
    )
    threshold: float = field(
        default=0.5,
        metadata=about("score from which the second of two labels is said", low=0.001, high=0.999),
    )
    word_dropout: float = field(
        default=0.15,
        metadata=about("share of the words that training takes for unknown", low=0, high=0.95),
    )
    word_dropout_run: int = field(
        default=4,
        metadata=about("words in a row that are taken so, on average", low=1, high=1_000),
    )
    label_smoothing: float = field(
        default=0.1,
        metadata=about("share of a label that training spreads over all labels", low=0, high=0.95),
    )
    schedule: str = field(
        default="cosine",
        metadata=about("course of the step size, to 0 at the last epoch", choices=SCHEDULES),
    )
    weight_decay: float = field(
        default=0.0,
        metadata=about("share of the weights that a step of size 1 takes off", low=0, high=10),
    )
    memory: int = field(
        default=100,
        metadata=about(
            "timesteps that gates remember at first, up to this; 0 for Keras' own",
            low=0,
            high=10_000,
        ),
    )
    pretrained: float = field(
        default=0.4,
        metadata=about(
            "deviation of embeddings that begin with which words stand together; 0 for Keras' own",
            low=0,
            high=10,
        ),
    )
    baseline: bool = field(
        default=True,
        metadata=about("train TF-IDF with logistic regression too, for comparison: seconds"),
    )
    seed: int = field(
        default=1, metadata=about("seed of weights, dropout and order", low=0, high=2**32 - 1)
    )

    def __post_init__(self) -> None:
        """Check every field once."""
        for setting in settings():
            value = getattr(self, setting.name)
            if value is None and setting.default is None and setting.name != "out":
                continue
            setting.check(value)
        check_together(self)

    @property
    def most_epochs(self) -> int:
        """The most epochs of all stages: those with rounded weights follow the others."""
        return self.epochs + (self.aware_epochs if self.aware else 0)

    def rows_a_step(self, rows: int) -> int:
        """Return how many of so many training rows a step takes, where none is told.

        Few rows are learned from in small steps: there would be too few of them otherwise.
        """
        if self.batch_size is not None:
            return self.batch_size
        size = MOST_ROWS_A_STEP
        while size > FEWEST_ROWS_A_STEP and rows < STEPS_AN_EPOCH * size:
            size //= 2
        return size

    @classmethod
    def resolve(
        cls,
        *,
        recipe: str | None = None,
        toml: Path | None = None,
        overrides: Mapping[str, object] | None = None,
    ) -> "TrainConfig":
        """Put flags over a TOML file over a recipe over what suits the corpus over the defaults.

        Args:
            recipe: A name, or the path of a file like `toml`: see `gatelet.train.recipe`. The
                config.toml of a run is the recipe of that run.
            toml: A file whose keys are the fields. Relative paths in it are taken from the
                working directory, as in flags.
            overrides: Fields by name, such as the flags that were given; None is as if absent.

        Returns:
            A complete configuration.

        Raises:
            ConfigError: The file cannot be read, a key is unknown, or a value cannot be used.
        """
        flags = {k: v for k, v in (overrides or {}).items() if v is not None}
        _check_keys(flags, where="")
        given: dict[str, object] = {} if recipe is None else _read(recipe_file(recipe))
        for over in ({} if toml is None else _read(toml), flags):
            if "data" in over or "corpus" in over:  # one replaces the other of what is below
                given = {k: v for k, v in given.items() if k not in ("data", "corpus")}
            given |= over
        for setting in settings():
            value = given.get(setting.name)
            if setting.kind is Path and isinstance(value, str) and value:
                given[setting.name] = Path(value)
        corpus = given.get("corpus")
        suited = CORPORA[corpus].defaults if isinstance(corpus, str) and corpus in CORPORA else {}
        values = {**suited, **given}
        if "out" not in values:
            raise ConfigError(
                "'out' is missing: name the run directory to write, --out RUN", field="out"
            )
        return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks every one

    @classmethod
    def from_toml(cls, path: Path | str, **overrides: object) -> "TrainConfig":
        """Read a TOML file; see `resolve`.

        Args:
            path: The file.
            **overrides: Fields that go over it.

        Raises:
            ConfigError: As `resolve`.
        """
        return cls.resolve(toml=Path(path), overrides=overrides)

    def to_dict(self) -> dict[str, str | int | float | bool]:
        """Return the fields that are set, as JSON and TOML can hold them."""
        values = {setting.name: getattr(self, setting.name) for setting in settings()}
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in values.items()
            if value is not None
        }

    def described(self) -> str:
        """Return the recipe in a line: what differs from the default one."""
        values = self.to_dict()
        changed = [
            f"{one.name} = {toml_value(values[one.name])}"
            for one in settings()
            if one.name not in _PLACES and one.name in values and values[one.name] != one.default
        ]
        return f"default, but {', '.join(changed)}" if changed else "default"

    def to_toml(self) -> str:
        """Write what `from_toml` and `--recipe` read as the same configuration."""
        return "".join(f"{name} = {toml_value(value)}\n" for name, value in self.to_dict().items())


def settings() -> tuple[Setting, ...]:
    """List the fields of TrainConfig in order, for flags and forms."""
    hints = typing.get_type_hints(TrainConfig)
    return tuple(
        Setting(
            name=each.name,
            kind=(typing.get_args(hints[each.name]) or (hints[each.name],))[0],
            default=None if each.name == "out" else each.default,
            **each.metadata,
        )
        for each in fields(TrainConfig)
    )


def _read(path: Path) -> dict[str, object]:
    given = read_toml(path)
    _check_keys(given, where=f" in '{path}'")
    return given


def _check_keys(given: Mapping[str, object], *, where: str) -> None:
    known = [setting.name for setting in settings()]
    for key in given:
        if key not in known:
            hint = nearest(key, known) or f"; known: {', '.join(known)}"
            raise ConfigError(f"unknown setting '{key}'{where}{hint}", field=key)
