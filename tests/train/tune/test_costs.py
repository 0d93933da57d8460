"""Bytes and multiply-adds are told from settings as they are of an artifact that is exported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.inspection import lint
from gatelet.convert.lowering import lower
from gatelet.convert.passes import skip_padding
from gatelet.convert.reading.model_source import open_source
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import ConfigError
from gatelet.train import TrainConfig
from gatelet.train.model import Features, Network, known_warnings
from gatelet.train.tasks import TASKS
from gatelet.train.tune.costs import STORED, Sizes, artifact_bytes, check_scheme, multiply_adds

VOCABULARY = 1_200
SHAPES: dict[str, dict[str, Any]] = {
    "classic": {},
    "gru": {"cell": "gru", "units": 20, "embedding": 12},
    "rnn": {"cell": "rnn", "units": 70, "embedding": 40, "maxlen": 30},
    "bidirectional": {"bidirectional": True, "pooling": "max", "units": 24},
    "layers": {"layers": 2, "units": 24, "maxlen": 25},
    "conv": {"conv": 20, "conv_width": 3, "pooling": "mean", "cell": "gru"},
    "conv_and_layers": {"conv": 16, "bidirectional": True, "layers": 2, "units": 17},
    "masked": {"mask_zero": True, "cell": "gru"},
    "padded_behind": {"padding": "post", "units": 40},
    "long": {"maxlen": 300, "units": 8},
    "tiny": {"units": 2, "embedding": 2, "maxlen": 5},
    "wide": {"units": 130, "embedding": 300, "maxlen": 10},
}


def trained(config: TrainConfig, *, labels: int) -> Network:
    """Build a network whose weights are all different, as training leaves them."""
    network = Network.build(config, vocabulary_size=VOCABULARY, labels=labels)
    generator = np.random.default_rng(5)
    moved = [one + generator.normal(0, 0.05, one.shape) for one in network.weights()]
    network.restore([one.astype(np.float32) for one in moved])
    return network


def settings(shape: str) -> TrainConfig:
    base = TrainConfig(out=Path("run"), data=Path("rows.csv"))
    return replace(base, **SHAPES[shape])


@pytest.mark.ci
@pytest.mark.parametrize("labels", [2, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_and_multiply_adds_are_those_of_what_is_exported(shape: str, labels: int) -> None:
    config = settings(shape)
    with known_warnings():
        source = open_source(trained(config, labels=labels).model)
    graph = lower(source.model)
    in_front = config.maxlen if config.padding == "pre" else None
    model = Exportable(graph, skip_padding(graph, timesteps=in_front))
    sizes = Sizes(VOCABULARY, 1 if labels == 2 else labels)

    for scheme in STORED:
        exported = len(write_model(model, SCHEMES[scheme]).weights)
        predicted = artifact_bytes(config, sizes, scheme=scheme)
        # states on lines take as many knots as they bend
        limit = 0.12 if scheme == "dynamic-int8-emb4" else 0.002
        assert abs(predicted / exported - 1) <= limit, (scheme, predicted, exported)
    cost = lint(source.model).cost
    assert cost is not None
    assert multiply_adds(config, sizes) == cost.per_timestep


def test_a_features_model_has_no_embedding_and_a_kernel_that_is_not_summed() -> None:
    config = replace(settings("classic"), units=16)

    found = artifact_bytes(config, Sizes(10, 1, is_text=False), scheme="dynamic-int8")

    # two steps of a Normalization besides; kernel 10 x 64 is small: floats; the
    # recurrent one has 16 x 64 bytes, scales and sums
    kernels = 4 * 10 * 64 + (16 * 64 + 4 * 64 + 2 * 64)
    biases, scores = 4 * 64, 4 * (16 * 16 + 16)
    assert found == 64 + 4 * 64 + kernels + biases + scores


@pytest.mark.ci
@pytest.mark.parametrize("shape", ["gru", "layers", "conv", "bidirectional"])
def test_bytes_of_a_features_model_are_those_of_what_is_exported(shape: str) -> None:
    config, task = settings(shape), TASKS["regression"]
    seen = Features(9, (1.0, 30.0), (2.0, 400.0))
    with known_warnings():
        network = Network.build(config, vocabulary_size=0, labels=6, task=task, features=seen)
        generator = np.random.default_rng(5)
        made = [one + generator.uniform(0.01, 0.05, one.shape) for one in network.weights()]
        network.restore([one.astype(np.asarray(one).dtype) for one in made])
        graph = lower(open_source(network.model).model)
    for scheme in ("float32", "dynamic-int8"):
        exported = len(write_model(Exportable(graph, graph), SCHEMES[scheme]).weights)
        predicted = artifact_bytes(config, Sizes(2, 6, is_text=False), scheme=scheme)
        assert abs(predicted / exported - 1) <= 0.002, (scheme, predicted, exported)


def test_other_schemes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"scheme 'int3' .* known: float32, dynamic-int8"):
        check_scheme("int3")
