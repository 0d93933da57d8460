"""Each check of parity turns red for its fault in an engine, and the others stay green."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.cli.main import main
from gatelet.convert.parity import Oracle, judge
from gatelet.convert.proving import prove
from gatelet.errors import BackendError
from gatelet.runtime.backends.onnx import OnnxBackend
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.data.dataset import Dataset
from tests.convert.faults import (
    ALL,
    Array,
    EditPart,
    break_engines,
    keep_only,
    onnx_recurrence,
    reds,
)
from tests.convert.planted import pad_on_the_other_side

SCORES = {"scores_max"}


@pytest.mark.parametrize("amount", [1e-7, 0.3])
def test_an_engine_whose_scores_depend_on_the_row_before(
    trained: Path, few: Dataset, monkeypatch: pytest.MonkeyPatch, amount: float
) -> None:
    before: dict[int, float] = {}

    def leak(engine: Any, ids: Array, scores: Array) -> Array:
        leaked = scores + np.float32(amount * before.get(id(engine), 0.0))
        before[id(engine)] = float(scores[-1, 0])
        return np.asarray(leaked, np.float32)

    break_engines(monkeypatch, leak)
    for (target, _), names in reds(prove(open_bundle(trained), few, with_keras=False)).items():
        assert "state_leak" in names
        assert not names & {"ids", "graph_golden"}
        # what comes between two calls of a thread is another's call; of c each bit counts
        of_bits = (
            {"repeat", "batch", "row_order", "stream", "text_scores"} if target == "c" else set()
        )
        # and whether rounding hides so little the second time is a matter of the scores
        assert amount > 1e-3 or names <= {"state_leak", "threads", "repeat"} | of_bits


def test_a_recurrence_that_starts_from_the_state_of_the_last_call(
    trained: Path, few: Dataset, edit_part: EditPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_away_the_state(data: bytes) -> bytes:
        import onnx

        model, node, tensors = onnx_recurrence(data)
        shape = [1, "batch", tensors[node.input[2]].dims[-1]]
        node.input.extend([""] * (7 - len(node.input)))
        place = list(model.graph.node).index(node)
        for slot, name in ((5, "h_in"), (6, "c_in")):
            float_ = onnx.TensorProto.FLOAT
            model.graph.input.append(onnx.helper.make_tensor_value_info(name, float_, shape))
            if node.input[slot]:  # it starts from the state after the padding
                sources = [node.input[slot], name]
                name = f"{name}_sum"
                model.graph.node.insert(place, onnx.helper.make_node("Add", sources, [name]))
            node.input[slot] = name
        hidden = node.output[1]
        node.output[:] = ["", hidden, "c_out"]
        for name in (hidden, "c_out"):
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, float_, shape))
        return bytes(model.SerializeToString())

    def run(self: OnnxBackend, inputs: Mapping[str, Any]) -> dict[str, Array]:
        ((name, ids),) = inputs.items()
        ids = np.asarray(ids, np.int32)
        state = vars(self).get("kept")
        if state is None or state[0].shape[1] != len(ids):
            units = self._session.get_inputs()[-1].shape[-1]
            state = [np.zeros((1, len(ids), units), np.float32)] * 2
        feed = {name: ids, "h_in": state[0], "c_in": state[1]}
        scores, *vars(self)["kept"] = self._session.run(None, feed)
        return {self._outputs[0]: scores}

    keep_only(trained, ("onnx", "float32"))
    edit_part(trained, "onnx float32", give_away_the_state)
    monkeypatch.setattr(OnnxBackend, "run", run)
    (names,) = reds(prove(open_bundle(trained), few, with_keras=False)).values()
    assert "state_leak" in names
    assert not names & {"ids", "graph_golden"}


def test_a_leak_that_padding_would_hide_is_found_in_short_rows(
    trained: Path, monkeypatch: pytest.MonkeyPatch, few: Dataset
) -> None:
    """A long padded row forgets the state that it started from: short ones do not."""
    before: dict[int, float] = {}

    def leak(engine: Any, ids: Array, scores: Array) -> Array:
        leaked = scores + np.float32(before.get(id(engine), 0.0) * 0.5 ** ids.shape[1])
        before[id(engine)] = float(scores[-1, 0])
        return np.asarray(leaked, np.float32)

    break_engines(monkeypatch, leak)
    for (target, scheme), names in reds(prove(open_bundle(trained), few, with_keras=False)).items():
        # a c library streams too, and is held to what its whole sequences give
        found = {"state_leak", "lengths"} | ({"stream"} if target == "c" else set())
        assert "state_leak" in names and names <= found
        assert scheme != "float32" or names == found


@pytest.mark.parametrize(
    "wrong",
    [
        lambda scores: np.repeat(scores[:1], len(scores), axis=0),
        lambda scores: np.concatenate([scores[:1], scores[:0:-1]]),
        lambda scores: np.concatenate([scores[:1], scores[1:] + 2e-4]),
    ],
    ids=["row 0 for all", "reversed", "a little off"],
)
def test_rows_beyond_the_first_of_a_batch_wrong(
    trained: Path,
    few: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Callable[[Array], Array],
) -> None:
    break_engines(monkeypatch, lambda engine, ids, scores: wrong(scores).astype(np.float32))
    found = reds(prove(open_bundle(trained), few, with_keras=False))
    assert found[("onnx", "dynamic-int8")] == set()  # runs row by row
    # and this one rows of as many pads
    assert found[("litert", "dynamic-int8")] <= {"flips", "row_order"}
    assert "batch" in found[("litert", "float32")] & found[("onnx", "float32")]
    for names in found.values():
        assert not names & {"ids", "graph_golden", "state_leak"}


def test_all_scores_off_by_a_constant(
    trained: Path, rows: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_engines(monkeypatch, lambda engine, ids, scores: scores + np.float32(0.03))
    for (_, scheme), names in reds(prove(open_bundle(trained), rows, with_keras=False)).items():
        assert names >= {"as_converted"} | (SCORES if scheme == "float32" else set())
        assert not names & {"ids", "graph_golden", "state_leak", "batch"}


def test_scores_near_the_threshold_mirrored(
    trained: Path, whole: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean hardly moves, but labels flip."""

    def mirror(engine: Any, ids: Array, scores: Array) -> Array:
        return np.where(np.abs(scores - 0.5) < 0.03, 1 - scores, scores)

    break_engines(monkeypatch, mirror)
    for (_, scheme), names in reds(judge(open_bundle(trained), whole)).items():
        assert "flips" in names
        assert scheme == "float32" or "spread_p99" not in names
        assert not names & {"ids", "graph_golden", "state_leak", "batch"}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number(
    trained: Path,
    few: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bad: float,
) -> None:
    def spoil(engine: Any, ids: Array, scores: Array) -> Array:
        scores[ids[:, -1] % 2 == 0] = bad
        return scores

    break_engines(monkeypatch, spoil)
    for names in reds(prove(open_bundle(trained), few, with_keras=False)).values():
        assert names >= SCORES | {"finite"}
        assert not names & {"ids", "graph_golden"}
    assert main(["parity", str(trained), "--no-keras", "--json"]) == 1
    out = capsys.readouterr().out
    assert "NaN" not in out and "Infinity" not in out
    assert json.loads(out)["verdict"] == "fail"


def test_a_runtime_that_pads_on_the_wrong_side(
    trained: Path, few: Dataset, edit_part: EditPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    pad_on_the_other_side(trained, edit_part, monkeypatch)
    found = reds(prove(open_bundle(trained), few, with_keras=False))
    # the texts of a c library go past Python, and are read otherwise than by it
    of_c = {"ids", "vocabulary", "text_ids", "text_scores"}
    assert found == {key: of_c if key[0] == "c" else {"ids", "golden_texts"} for key in ALL}


def test_an_artifact_that_cannot_be_opened(
    trained: Path, few: Dataset, edit_part: EditPart
) -> None:
    edit_part(trained, "onnx float32", lambda data: b"no onnx file")
    edit_part(trained, "litert dynamic-int8", lambda data: b"no flatbuffer" * 100)
    report = prove(open_bundle(trained), few, with_keras=False)
    found = reds(report)
    for broken in (("onnx", "float32"), ("litert", "dynamic-int8")):
        assert found.pop(broken) == {"opens"}
    assert set(map(frozenset, found.values())) == {frozenset()}
    notes = {(one.target, one.scheme): one.note for one in report.artifacts}
    assert "cannot open" in notes[("onnx", "float32")]


def test_an_artifact_whose_input_has_another_name(
    trained: Path, few: Dataset, edit_part: EditPart
) -> None:
    def rename(data: bytes) -> bytes:
        return data.replace(b"ids", b"sdi")

    edit_part(trained, "onnx float32", rename)
    found = reds(prove(open_bundle(trained), few, with_keras=False))
    assert found.pop(("onnx", "float32")) == {"runs"}
    assert set(map(frozenset, found.values())) == {frozenset()}


@pytest.mark.parametrize("error", [BackendError("out of memory"), KeyError("x"), MemoryError()])
def test_an_engine_that_fails_at_run(
    trained: Path, few: Dataset, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def run(self: OnnxBackend, inputs: Mapping[str, Any]) -> dict[str, Array]:
        raise error

    monkeypatch.setattr(OnnxBackend, "run", run)
    report = prove(open_bundle(trained), few, with_keras=False)
    found = reds(report)
    assert found[("onnx", "float32")] == found[("onnx", "dynamic-int8")] == {"runs"}
    assert found[("litert", "float32")] == found[("litert", "dynamic-int8")] == set()
    assert report.verdict == "fail"
    notes = {(one.target, one.scheme): one.note for one in report.artifacts}
    assert type(error).__name__ in notes[("onnx", "float32")]
