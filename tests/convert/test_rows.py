"""Calibration rows are none that are judged, wherever they come from."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.reading import SourceModel
from gatelet.convert.reading.model_source import ModelSource
from gatelet.convert.rows.drawn import random_rows
from gatelet.convert.rows.given import part_calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.onnx_graphs import GraphMaker

INTEGERS = (("tflm", SCHEMES["float32"]), ("tflm", SCHEMES["full-int8"]))
TEXTS = Dataset(tuple(f"w{row} w{row % 7} film" for row in range(40)), None, "folder/own.csv")


def graph(inputs: int = 1) -> Graph:
    maker = GraphMaker()
    ids = [maker.input(f"ids_{place}", None, 6, vocabulary=60) for place in range(inputs)]
    weights = {"embeddings": maker.weight(60, 4)}
    found = [maker.one("Embedding", [one], (None, 6, 4), weights=weights) for one in ids]
    return maker.finish(*found)


@pytest.fixture
def source() -> ModelSource:
    vectorizer = Vectorizer.fit(TEXTS.texts, num_words=None, maxlen=6)
    model = SourceModel.__new__(SourceModel)
    return ModelSource("m", model, None, vectorizer=vectorizer, test=TEXTS)


def test_nothing_is_left_out_where_nothing_is_calibrated(source: ModelSource) -> None:
    parted = part_calibration(source, None, graph(), INTEGERS[:1])
    assert (parted.calibration, parted.test, parted.data) == (None, TEXTS, None)


@pytest.mark.parametrize("given", [False, True])
def test_texts_that_calibrate_are_left_out_of_the_others(source: ModelSource, given: bool) -> None:
    parted = part_calibration(source, TEXTS if given else None, graph(), INTEGERS)
    assert parted.calibration is not None and parted.test is not None
    assert len(parted.test) == 30
    assert parted.data == (parted.test if given else None)
    facts = parted.calibration.facts
    assert (facts["rows"], facts["left_out_of"], facts["source"]) == (10, 40, "own.csv")
    vectorizer = source.vectorizer
    assert vectorizer is not None
    judged = {tuple(vectorizer.pad(text)) for text in parted.test.texts}
    used = set(map(tuple, parted.calibration.rows["ids_0"].tolist()))
    assert used.isdisjoint(judged)


def test_a_runs_own_rows_of_the_training_part_leave_all_others_to_be_judged(
    source: ModelSource,
) -> None:
    training = Dataset(("film w1", "w2"), None, "calibration.jsonl")
    source = replace(source, calibration=training)
    parted = part_calibration(source, None, graph(), INTEGERS)
    assert parted.test == TEXTS
    assert parted.calibration is not None
    assert parted.calibration.facts["rows"] == 2
    # rows of the caller's own come first: they are what the device will meet
    own = part_calibration(source, TEXTS, graph(), INTEGERS)
    assert own.calibration is not None and own.calibration.left_out_of == 40


@pytest.mark.parametrize(("rows", "used"), [(1, 1), (2, 1), (3, 1), (8, 2), (4000, 128)])
def test_of_few_arrays_a_quarter_calibrates(source: ModelSource, rows: int, used: int) -> None:
    digits = [[row % 60, row // 60 % 60, row // 3600, 0, 0, 0] for row in range(rows)]
    ids = np.array(digits, np.int32)
    data = Arrays((ids,), np.arange(rows), str(Path("folder") / "own.npz"))
    parted = part_calibration(replace(source, test=None), data, graph(), INTEGERS)
    assert parted.calibration is not None and isinstance(parted.data, Arrays)
    assert parted.calibration.facts["rows"] == used
    assert len(parted.data) == max(1, rows - used)
    assert parted.data.targets is not None and len(parted.data.targets) == len(parted.data)
    assert parted.calibration.left_out_of == (rows if rows > 1 else 0)


def test_copies_of_rows_that_calibrate_are_not_judged(source: ModelSource) -> None:
    ids = np.tile(np.arange(24, dtype=np.int32).reshape(4, 6), (5, 1))
    data = Arrays((ids,), None, "own.npz")
    parted = part_calibration(replace(source, test=None), data, graph(), INTEGERS)
    assert parted.calibration is not None and isinstance(parted.data, Arrays)
    (used,) = parted.calibration.rows["ids_0"].tolist()
    assert len(parted.data) == 15 and used not in parted.data.inputs[0].tolist()


def test_drawn_inputs_differ_from_one_another_and_from_those_that_are_judged() -> None:
    judged = random_rows(graph(2), None, {})
    first, second = judged.feed.values()
    assert (first != second).any(axis=1).mean() > 0.9
    other = random_rows(graph(2), None, {}, seed=5)
    assert (first != other.feed["ids_0"]).any(axis=1).mean() > 0.9
