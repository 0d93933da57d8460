"""Compares an artifact, the Graph and the vectorizer with the golden vectors of the bundle.

Not the making of golden vectors, which is `gatelet.convert.parity.oracles.ask`.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.scores import check_max
from gatelet.convert.parity.checks.spread import Spread
from gatelet.convert.parity.decisions import decided_rows
from gatelet.convert.parity.limits import Bounds
from gatelet.convert.parity.oracles.oracle import Oracle, ask_graph
from gatelet.convert.parity.report import Check
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.errors import BundleDamaged, InputError
from gatelet.runtime.bundle.opening import Artifact, Bundle, Golden
from gatelet.runtime.decision import decide
from gatelet.runtime.predictor.inputs import check_rows
from gatelet.runtime.predictor.predictor import Predictor
from gatelet.runtime.vectorizer.opening import AnyVectorizer

Array = NDArray[Any]


def check_ids(
    vectorizer: AnyVectorizer | None, oracle: Oracle | None, golden: Golden | None
) -> tuple[Check, ...]:
    """Compare the vectorizer's ids with the golden ones and, where it was asked, with Keras'."""
    if vectorizer is None:
        return ()
    wrong, texts = (oracle.wrong_ids or 0, oracle.asked_ids) if oracle is not None else (0, 0)
    if golden is not None and golden.texts is not None:
        (rows,) = golden.inputs.values()
        texts += len(rows)
        wrong += sum(vectorizer.pad(t) != row for t, row in zip(golden.texts, rows, strict=True))
    if not texts:
        return (Check("ids", None, 0.0, "undecided", unit="texts"),)
    verdict = "pass" if wrong == 0 else "fail"
    note = f"{texts:,} texts"
    if oracle is not None and oracle.asked_ids and oracle.vectorizer is None:
        # what Keras shows is how texts are taken apart, not whether these are the trained words
        note += "; Keras was handed the words of the bundle"
    return (Check("ids", float(wrong), 0.0, verdict, unit="texts", note=note),)


def check_graph(bundle: Bundle, oracle: Oracle, golden: Golden | None) -> tuple[Check, ...]:
    """Compare the Graph, which judges the artifacts, with Keras and with what it gave before."""
    limit, spread = oracle.float32_limit, oracle.spread
    checks = []
    note = oracle.keras_note
    if oracle.keras is not None:
        asked = check_max("graph_keras", oracle.scores, oracle.keras, limit, spread=spread)
        checks.append(replace(asked, note=note))
    elif note:
        checks.append(Check("graph_keras", None, limit, "not checked", note=note))
    if golden is not None:
        inputs, expected = golden_arrays(golden)
        found = ask_graph(bundle.graph(), inputs)
        checks.append(check_max("graph_golden", found, expected, limit, spread=spread))
    return tuple(checks)


def check_golden(
    golden: Golden, found: Array, predictor: Predictor, bounds: Bounds, *, spread: Spread
) -> list[Check]:
    """Compare with the golden vectors: from their ids and, end to end, from their texts.

    What is rounded is not held to the Graph's scores: its texts must have the scores of their ids.

    Args:
        golden: The golden vectors.
        found: What the artifact gave for their ids, one by one.
        predictor: Of the artifact.
        bounds: The limits.
        spread: The unit of differences.
    """
    expected = golden_arrays(golden)[1]
    checks = []
    if bounds.is_exact:
        checks.append(check_max("golden", found, expected, bounds.exact, spread=spread))
    if golden.texts:
        texts = one_by_one(predictor, Rows({"text": np.array(golden.texts, object)}))
        right = expected if bounds.is_exact else found
        limit = bounds.exact if bounds.is_exact else 0.0
        checks.append(check_max("golden_texts", texts, right, limit, spread=spread))
    return checks


def check_labels(golden: Golden, given: Rows, bundle: Bundle, predictor: Predictor) -> list[Check]:
    """Count golden rows that get another label than at conversion, or than their scores ask for.

    A threshold that was moved, or labels in another order, leave every score as it is.

    Args:
        golden: The golden vectors.
        given: Their inputs, as the artifact takes them: ids, features or texts.
        bundle: Its labels and threshold are in question.
        predictor: Of the artifact.
    """
    if bundle.decisions or golden.decisions is not None:
        return [_check_decided(golden, given, bundle, predictor)]
    expected = golden_arrays(golden)[1]
    if not bundle.labels or len(golden.outputs) > 1 or expected.ndim != 2:
        return []
    labels, threshold = bundle.labels, bundle.threshold
    meant = golden.labels or [labels[decide(row, threshold)] for row in expected.tolist()]
    wrong = {
        row
        for row, scores in enumerate(expected.tolist())
        if labels[decide(scores, threshold)] != meant[row]
    }
    for row in range(len(given)):
        one = given[row : row + 1].given
        scores = np.asarray(predictor.scores(one)).tolist()[0]
        if predictor.predict(one)[0].label != labels[decide(scores, threshold)]:
            wrong.add(row)
    note = ""
    moved = golden.threshold is not None and golden.threshold != threshold
    if moved:
        note = f"the threshold is {threshold:g}, at conversion it was {golden.threshold:g}"
    verdict = "fail" if wrong or moved else "pass"
    return [Check("labels", float(len(wrong)), 0.0, verdict, unit="rows", note=note)]


def _check_decided(golden: Golden, given: Rows, bundle: Bundle, predictor: Predictor) -> Check:
    """As `check_labels`, by what a bundle of format 2 says of its outputs."""
    if golden.decisions != [rule.to_json() for rule in bundle.decisions]:
        note = "what the outputs mean is not what it was at conversion"
        return Check("labels", None, 0.0, "fail", unit="rows", note=note)
    inputs, expected = golden_arrays(golden)
    graph = bundle.interface()
    right = decided_rows(bundle, graph, inputs, expected)
    meant = golden.decided or []
    wrong = sum(one != other for one, other in zip(right, meant, strict=True))
    for row in range(len(given)):
        one = given[row : row + 1]
        scores = side_by_side(predictor.scores(one.given))
        said = predictor.predict(one.given)[0].decision
        wrong += said != decided_rows(bundle, graph, one, scores)[0]
    return Check("labels", float(wrong), 0.0, "fail" if wrong else "pass", unit="rows")


def one_by_one(predictor: Predictor, inputs: Rows) -> Array:
    """Run rows alone: what they give must not hang on how a runtime makes batches."""
    alone = [side_by_side(predictor.scores(inputs[i : i + 1].given)) for i in range(len(inputs))]
    return np.concatenate(alone)


def check_as_converted(
    artifact: Artifact, found: Array, engine: str, bounds: Bounds
) -> list[Check]:
    """Compare with what the artifact itself gave at conversion, if the engine is the same.

    A quantized artifact may be far from the Graph, not from itself: a changed weight that
    hides among rounding errors shows here.
    """
    before = artifact.parity.get("golden_scores")
    if before is None or artifact.parity.get("engine") != engine:
        return []
    return [check_max("as_converted", found, np.array(before, np.float64), bounds.as_converted)]


def readable_golden(bundle: Bundle) -> Golden | None:
    """Read the golden vectors; refuse those that are no arrays of the model's inputs and outputs.

    Raises:
        BundleDamaged: They are not.
    """
    golden = bundle.golden()
    if golden is None:
        return None
    graph = bundle.graph()
    try:
        inputs, _ = golden_arrays(golden)
        for one in graph.inputs:
            check_rows(inputs.feed[one.name], one)
        if tuple(golden.outputs) != graph.outputs:
            raise ValueError(f"they have the outputs {', '.join(golden.outputs)}")
    except (InputError, ValueError, TypeError, OverflowError, KeyError) as error:
        raise BundleDamaged(
            f"the golden vectors '{bundle.part('golden')}' are not those of the model: {error}"
        ) from error
    return golden


def golden_arrays(golden: Golden) -> tuple[Rows, Array]:
    """Return the golden inputs and outputs as arrays."""
    inputs = {
        name: np.array(values, np.int32 if _is_integer(values) else np.float32)
        for name, values in golden.inputs.items()
    }
    outputs = {name: np.array(values, np.float64) for name, values in golden.outputs.items()}
    return Rows(inputs), side_by_side(outputs)


def _is_integer(values: Any) -> bool:
    while isinstance(values, list) and values:
        values = values[0]
    return isinstance(values, int)
