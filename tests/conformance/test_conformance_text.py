"""Every case on onnx-text: a model over ids gives the same from texts, the rest is refused.

Not hostile texts, on which the vectorizer in the graph is held to its own ids: see
tests/convert/exporters/test_onnx_text.py.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import TARGETS, export
from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.tolerances import FLOAT32_FACTOR
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError
from gatelet.runtime.backends import open_backend
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.conformance.case_parts import T, V
from tests.conformance.cases import CASES
from tests.conformance.limits import holds
from tests.conformance.matrix import KINDS, Array, Prepared
from tests.conformance.test_conformance import TELLING, prepared

FIRST_CHARACTER = 0x3042

VECTORIZERS = {
    "words": {"char_level": False, "padding": "pre", "truncating": "pre"},
    "characters": {"char_level": True, "padding": "post", "truncating": "post"},
}


def token(number: int, *, char_level: bool) -> str:
    return chr(FIRST_CHARACTER + number) if char_level else f"w{number}"


def vectorizer_of(settings: dict[str, Any]) -> Vectorizer:
    """Return a vectorizer that has a token for each id of the cases."""
    tokens = [token(number, char_level=settings["char_level"]) for number in range(1, V)]
    gap = "" if settings["char_level"] else " "
    # the more often the smaller the id
    texts = [gap.join([one] * (V - place)) for place, one in enumerate(tokens)]
    fitted = Vectorizer.fit(texts, num_words=None, maxlen=T, **settings)
    assert [fitted.vocabulary[one] for one in tokens] == list(range(1, V))
    return fitted


def texts_of(ids: Array, vectorizer: Vectorizer) -> list[str]:
    """Write rows as texts: padding is no word, wherever it lies."""
    gap = "" if vectorizer.char_level else " "
    return [
        gap.join(token(one, char_level=vectorizer.char_level) for one in row if one)
        for row in ids.tolist()
    ]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def refused(case: Prepared) -> str:
    """Return what the message says of a model that no text can feed; '' for others."""
    if len(case.graph.inputs) > 1:
        return f"takes {len(case.graph.inputs)} inputs"
    return "" if case.graph.inputs[0].dtype == "int32" else "takes features"


def runs() -> list[Any]:
    """Return every (case, scheme, vectorizer); what differs in ids only is left to some cases."""
    return [
        pytest.param(
            build,
            scheme,
            kind,
            id=f"{build.__name__}-{scheme}-{kind}",
            marks=()
            if (scheme, kind) == ("float32", "words") or build in TELLING
            else pytest.mark.full,
        )
        for build in CASES
        for scheme in TARGETS["onnx-text"]
        for kind in VECTORIZERS
    ]


@pytest.mark.parametrize(("build", "scheme", "kind"), runs())
def test_texts_give_what_their_ids_give(
    build: Callable[[Any], Any], scheme: str, kind: str, worker: Worker, tmp_path: Path
) -> None:
    case, vectorizer = prepared(build), vectorizer_of(VECTORIZERS[kind])
    skipping = skip_padding(case.graph, timesteps=T if vectorizer.padding == "pre" else None)
    model = Exportable(case.graph, skipping, vectorizer)
    if why := refused(case):
        with pytest.raises(ConversionError, match=f"takes texts, and the model .*{why}: choose"):
            export(model, "onnx-text", SCHEMES[scheme], worker)
        return
    path = tmp_path / "model.onnx"
    exported = export(model, "onnx-text", SCHEMES[scheme], worker)
    path.write_bytes(exported.data)
    backend = open_backend("onnx-text", path)
    (given,) = case.inputs.values()
    texts = texts_of(given, vectorizer)
    ids = {case.graph.inputs[0].name: np.array([vectorizer.pad(one) for one in texts], np.int32)}
    expected = ReferenceBackend(case.graph, dtype=np.float64).run(ids)
    single = ReferenceBackend(case.graph).run(ids)
    parts = [slice(row, row + 1) for row in range(len(KINDS))]
    parts += [] if exported.max_batch == 1 else [slice(0, len(texts))]
    for part in parts:
        found = backend.run({"text": texts[part]})
        assert np.array_equal(found["ids"], ids[case.graph.inputs[0].name][part])
        for name in case.graph.outputs:
            own = float(difference(single[name], expected[name]).max(initial=0.0))
            limit = max(case.float32_limit, FLOAT32_FACTOR * own)
            pair = ("onnx-text", scheme)
            assert holds(np.asarray(found[name]), expected[name][part], pair, limit)


def test_most_cases_take_texts() -> None:
    assert sum(not refused(prepared(build)) for build in CASES) >= len(CASES) // 2
