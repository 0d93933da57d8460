"""Is the vectorizer of a bundle that of the conversion, and the model as good on the same rows?

Not the artifacts. Words that changed places leave every artifact as it is, and the Graph too: only
a copy of them, or rows that are labelled, can tell.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gatelet.convert.parity.decisions import meant
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.parity.quality.baseline import Standing
from gatelet.convert.parity.quality.quality import quality_of
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.texts.copies import SHOWN_DIGITS, entries_that_differ
from gatelet.convert.parity.texts.counted import counted
from gatelet.convert.rows.vocabulary import vocabulary_sha256
from gatelet.convert.tolerances import TOLERANCES
from gatelet.runtime.bundle.opening import Bundle, Golden
from gatelet.runtime.data.dataset import Dataset, sha256_of
from gatelet.runtime.vectorizer.opening import AnyVectorizer

JUDGED = "judged"
"""The entry of the manifest's provenance with a figure of the rows that a conversion judged."""

_FIGURES = ("accuracy", "mae")
_SAME = 1e-6
"""Relative: what another machine's float64 may be off by."""
_FEW_ROWS = 2
"""That rounding may decide otherwise, where only a float32 artifact's figure is known."""


def check_vectorizer(
    bundle: Bundle, source: AnyVectorizer | None, golden: Golden | None
) -> tuple[Check, ...]:
    """Compare the vectorizer with its source, while that is at hand, and with what was noted of it.

    Args:
        bundle: The opened bundle.
        source: The vectorizer that its own was made from; None where nobody has it any more.
        golden: Its golden vectors.

    Returns:
        () for a model without texts, and of a bundle that an older gatelet made, which noted none.
    """
    vectorizer = bundle.vectorizer()
    if vectorizer is None:
        return ()
    here = vocabulary_sha256(vectorizer.vocabulary)
    noted = {
        "the manifest": _provenance(bundle).get("vocabulary_sha256"),
        "the golden vectors": None if golden is None else golden.vocabulary_sha256,
    }
    if source is None and not any(noted.values()):
        return ()
    differing = [] if source is None else list(entries_that_differ(vectorizer, source).values())
    differing += [
        f"the words are not those of the conversion: {here[:SHOWN_DIGITS]}, in {where} "
        f"{str(known)[:SHOWN_DIGITS]}"
        for where, known in noted.items()
        if known not in (None, here)
    ]
    return (counted("vectorizer", differing, "entries", len(vectorizer.vocabulary), question=""),)


def judged_rows(bundle: Bundle, oracle: Oracle) -> dict[str, Any]:
    """Return what a manifest notes of labelled rows: their digest, and how good the Graph is."""
    quality = _quality_of_all(bundle, oracle)
    name = next((name for name in _FIGURES if math.isfinite(quality.get(name, math.nan))), None)
    if oracle.truth is None or oracle.made_up or name is None:
        return {}
    found = {"sha256": _rows_sha256(oracle), "rows": len(oracle.truth), name: quality[name]}
    return {JUDGED: found}


def check_same_rows(bundle: Bundle, oracle: Oracle) -> tuple[Check, ...]:
    """Ask for the figure of the conversion where the rows are the very ones that it judged."""
    if oracle.truth is None or oracle.made_up:
        return ()
    noted, slack = _noted(bundle, oracle)
    name = next((name for name in _FIGURES if isinstance(noted.get(name), float)), None)
    if name is None:
        return ()
    quality = _quality_of_all(bundle, oracle)
    before, now = noted[name], quality.get(name, math.nan)
    figure, limit = abs(now - before), _SAME * abs(before) + slack
    verdict = "pass" if figure <= limit else "fail"
    note = f"{name} is {now:.6g}, and was {before:.6g} at conversion on the same rows"
    return (Check("same_rows", figure, limit, verdict, unit=name, note=note),)


def trained_beside(standing: Standing, bundle: Bundle, oracle: Oracle) -> Standing:
    """Put in place of an answer that needs no model what was trained on the same rows beside it.

    Its figures are known of the run's test part only: over other rows, `standing` stays as it is.
    """
    provenance = _provenance(bundle)
    training = provenance.get("training")
    trained = training.get("baseline") if isinstance(training, dict) else None
    if not isinstance(trained, dict):
        return standing
    rows = _dataset_sha256(bundle, oracle)
    if rows is None or rows != provenance.get("test_data_sha256"):
        return standing
    figures = {one: trained[one] for one in standing.quality if isinstance(trained.get(one), float)}
    return replace(standing, baseline=figures, name=str(trained["name"])) if figures else standing


def _quality_of_all(bundle: Bundle, oracle: Oracle) -> Mapping[str, float]:
    """Return the Graph's figures over all rows, copies too: what the manifest has always held."""
    if oracle.truth is None or oracle.made_up:
        return {}
    scores, threshold = meant(bundle, oracle.scores)
    flat = scores.reshape(len(scores), -1)
    return quality_of(flat, oracle.truth, labels=bundle.labels, threshold=threshold)


def _noted(bundle: Bundle, oracle: Oracle) -> tuple[Mapping[str, Any], float]:
    """Return what is known of these very rows, and what it may be off by; {} of other rows."""
    provenance = _provenance(bundle)
    judged = provenance.get(JUDGED)
    if isinstance(judged, dict):
        return (judged, 0.0) if judged.get("sha256") == _rows_sha256(oracle) else ({}, 0.0)
    exact = [
        one.parity.get("quality")
        for one in bundle.artifacts
        if (one.target, one.scheme) in TOLERANCES and TOLERANCES[one.target, one.scheme].is_exact
    ]
    texts = _dataset_sha256(bundle, oracle)
    known = next((one for one in exact if isinstance(one, dict)), None)
    if known is None or texts is None or provenance.get("test_data_sha256") != texts:
        return {}, 0.0
    return known, _FEW_ROWS / len(oracle.scores)


def _provenance(bundle: Bundle) -> Mapping[str, Any]:
    found = bundle.manifest.get("provenance")
    return found if isinstance(found, dict) else {}


def _dataset_sha256(bundle: Bundle, oracle: Oracle) -> str | None:
    """Return the digest by which a manifest knows labelled texts."""
    if not oracle.texts or not bundle.labels or oracle.truth is None:
        return None
    labels = tuple(bundle.labels[int(place)] for place in oracle.truth)
    return sha256_of(Dataset(tuple(oracle.texts), labels, "rows"))


def _rows_sha256(oracle: Oracle) -> str:
    """Hash what was given, not what the vectorizer makes of it, and what is right."""
    digest = hashlib.sha256()
    if oracle.texts:
        for text in oracle.texts:
            digest.update(json.dumps(text).encode("ascii") + b"\n")
        arrays = [oracle.truth]
    else:
        arrays = [*oracle.inputs.feed.values(), oracle.truth]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
