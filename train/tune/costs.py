"""What a model costs on a device, told from its settings before there is one.

Bytes are those of the artifact that `gatelet convert` writes for the target c: of each weight its
numbers, scales and sums, each on a boundary of 64 bytes (docs/bundle.md). Not a conversion: nothing
is packed or rounded here, and what follows from the weights' values is estimated.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gatelet.errors import ConfigError
from gatelet.train.config import TrainConfig

ALIGNMENT = 64
LANES, LARGEST_TILE = 16, 64
CHUNK_ROWS = 256
"""Rows of a kernel of 8 bits that have a sum of their own."""
SCALES = 256
"""The most scales of an embedding of 8 bits."""
SMALL = 1024
"""Weights of fewer numbers stay float32."""
LARGEST_SKIP = 256
"""The most timesteps of padding whose states are stored."""
STATES = {"lstm": 2, "gru": 1, "rnn": 1}
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
KNOTS = 12
"""About how many of a padding's states are stored where embeddings have 4 bits: the rest lies on
lines between them. How many it takes depends on the weights."""


@dataclass(frozen=True)
class Stored:
    """The types that a scheme stores in.

    Args:
        embeddings: Bits of an embedding's numbers.
        kernels: Bits of a kernel's numbers.
    """

    embeddings: int
    kernels: int


STORED = {
    "float32": Stored(32, 32),
    "dynamic-int8": Stored(8, 8),
    "dynamic-int8-emb4": Stored(4, 8),
}
"""The schemes whose bytes are told here."""


@dataclass(frozen=True)
class Sizes:
    """What settings do not say of a model.

    Args:
        inputs: V of texts, or F of features.
        outputs: Scores of a row.
        is_text: Whether the model takes ids.
    """

    inputs: int
    outputs: int
    is_text: bool = True


def check_scheme(scheme: str) -> None:
    """Refuse a scheme whose bytes are not told here.

    Raises:
        ConfigError: With those that are.
    """
    if scheme not in STORED:
        raise ConfigError(
            f"scheme '{scheme}' is none that a study can count the bytes of; known: "
            f"{', '.join(STORED)}",
            field="scheme",
            value=scheme,
        )


def artifact_bytes(config: TrainConfig, sizes: Sizes, *, scheme: str) -> int:
    """Return the bytes of the c artifact of a model.

    Args:
        config: Its layers.
        sizes: What they do not say.
        scheme: A key of `STORED`.
    """
    stored = STORED[scheme]
    sections: list[int] = []
    if sizes.is_text:
        sections += _embedding(sizes.inputs, config.embedding, stored)
    else:  # Normalization: a shift, then a factor
        sections += [4, 4 * sizes.inputs, 4 * sizes.inputs, 4]
    for kernel in _kernels(config, sizes):
        sections += kernel.sections(stored)
    sections += _padding(config, stored) if sizes.is_text else []
    return ALIGNMENT + sum(-(-one // ALIGNMENT) * ALIGNMENT for one in sections)


def multiply_adds(config: TrainConfig, sizes: Sizes) -> int:
    """Return the multiply-adds of a timestep; what is done once a row is left out."""
    return sum(one.rows * one.columns for one in _kernels(config, sizes) if one.each_step)


@dataclass(frozen=True)
class _Kernel:
    """A kernel [rows, columns], and the biases that are added to its columns.

    Args:
        rows: K.
        columns: N.
        gates: The columns are so many parts, each of whole vectors; 1 for whole tiles.
        biases: How many vectors of biases there are.
        is_raw: It meets features, which are not rounded.
        pads_bias: Biases are padded as the columns.
        each_step: It is used at each timestep.
    """

    rows: int
    columns: int
    gates: int = 1
    biases: int = 0
    is_raw: bool = False
    pads_bias: bool = True
    each_step: bool = True

    def sections(self, stored: Stored) -> Iterator[int]:
        wide = padded(self.columns, self.gates)
        yield from [4 * (wide if self.pads_bias else self.columns)] * self.biases
        if stored.kernels == 32 or self.rows * wide < SMALL:
            yield 4 * self.rows * wide
        elif self.is_raw:
            yield from (self.rows * wide, 4 * wide)
        else:
            sums = -(-self.rows // CHUNK_ROWS)
            yield from (-(-self.rows // 4) * 4 * wide, 4 * wide, 2 * wide * sums)


def padded(columns: int, gates: int = 1) -> int:
    """Return the columns of a kernel as they are stored: whole vectors, or tiles of some."""
    whole = min(LARGEST_TILE, -(-columns // LANES) * LANES) if gates == 1 else LANES
    return gates * -(-(columns // gates) // whole) * whole


def _embedding(rows: int, features: int, stored: Stored) -> list[int]:
    if stored.embeddings == 32 or rows * features < SMALL:
        return [4 * rows * features]
    if stored.embeddings == 4:
        return [rows * -(-features // 2), rows, 4]
    return [rows * features, rows, 4 * min(rows, SCALES)]


def _kernels(config: TrainConfig, sizes: Sizes) -> Iterator[_Kernel]:
    width, is_raw = (config.embedding, False) if sizes.is_text else (sizes.inputs, True)
    if config.conv:
        yield _Kernel(
            config.conv_width * width, config.conv, biases=1, is_raw=is_raw, pads_bias=False
        )
        width, is_raw = config.conv, False
    units, gates = config.units, GATES[config.cell]
    ways = 2 if config.bidirectional else 1
    for _ in range(config.layers):
        for _ in range(ways):
            biases = 2 if config.cell == "gru" else 1
            yield _Kernel(width, gates * units, gates, biases=biases, is_raw=is_raw)
            yield _Kernel(units, gates * units, gates)
        width, is_raw = ways * units, False
    yield _Kernel(width, sizes.outputs, biases=1, each_step=False)


def _padding(config: TrainConfig, stored: Stored) -> list[int]:
    """Return the states after padding in front, which let rows begin behind it."""
    skips = (
        config.padding == "pre"
        and not config.mask_zero
        and not config.bidirectional
        and not config.conv
        and config.pooling == "last"
    )
    if not skips:
        return []
    states = config.layers * STATES[config.cell]
    limit = min(config.maxlen, LARGEST_SKIP)
    if stored.embeddings == 4:
        return [min(limit + 1, KNOTS) * config.units] * states
    return [4 * (limit + 1) * config.units] * states
