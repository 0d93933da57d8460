"""How the reports write figures, verdicts and the names of checks.

Not the figures themselves.
"""

import math

from gatelet.convert.parity.report import Check

MARKS = {
    "fail": "✗",
    "undecided": "?",
    "not run": "○",
    "not checked": "·",
    "shown": "i",
    "pass": "✓",
}
"""A sign for each verdict, so that colour is never alone; the worst first."""

CHECKS = {
    "ids": "texts whose ids differ from those of the training vectorizer",
    "vocabulary": "words that the artifact's own reader has otherwise than the vectorizer",
    "text_ids": "texts of which the artifact's own reader makes other ids",
    "text_scores": "calls with texts against the scores of their ids",
    "text_labels": "labels of calls with texts that differ from those of their ids",
    "weights": "stored weights against the graph's, in quantization steps",
    "finite": "rows with a score that is not a finite number",
    "constant": "outputs that are the same for every row",
    "graph_keras": "largest difference of the graph from Keras",
    "graph_golden": "largest difference of the graph from its own scores at conversion",
    "scores_max": "largest difference of a score from the oracle",
    "scores_mean": "mean difference of the scores from the oracle",
    "spread_p99": "difference that 99 of 100 scores stay below",
    "scores_atol": "largest difference of a score, relative to max(1, y), against your limit",
    "computes": "scores against the oracle of the scheme: does the file compute what it says?",
    "computes_steps": "each layer and step, from the file's own states, against that oracle",
    "computes_whole": "whole sequences against that oracle",
    "kernels_seen": "kernels of floats that were neither read from the file nor followed by steps",
    "labels_reached": "labels that the oracle chooses and the artifact never does",
    "labels": "golden rows that get another label than at conversion",
    "code_decides": "rows that the file's own code decides otherwise than the bundle says",
    "scores_max_keras": "largest difference of a score from Keras",
    "flips": "rows whose label differs from the oracle's",
    "accuracy_drop": "how much lower the accuracy is than the oracle's",
    "macro_f1_drop": "how much lower the macro F1 is",
    "roc_auc_drop": "how much lower the area under the ROC curve is",
    "brier_rise": "how much higher the Brier score is",
    "ece_rise": "how much higher the expected calibration error is",
    "mae_rise": "how much higher the mean absolute error is",
    "rmse_rise": "how much higher the root mean squared error is",
    "r2_drop": "how much lower the share of explained variance is",
    "max_error_rise": "how much higher the largest error is",
    "state_leak": "a call changes the scores of a later call",
    "repeat": "the same call twice",
    "batch": "a batch against its rows alone",
    "row_order": "rows in another order",
    "threads": "two threads at once",
    "lengths": "inputs of no, one and all timesteps, and beyond",
    "stream": "step by step against the whole sequence",
    "golden": "golden ids against their recorded scores",
    "golden_texts": "golden texts against their recorded scores",
    "as_converted": "golden ids against this artifact's own scores at conversion",
    "opens": "the engine opens the artifact",
    "runs": "the engine runs the artifact",
}
"""What each check looks at; one that is not listed is shown by its name."""


QUALITY = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC AUC",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "max_error": "largest error",
}
"""What each figure of quality is called."""


ROWS = "share of rows"
"""The unit that is written in percent; other shares are small, and their limits are not."""


def describe(name: str) -> str:
    """Say what a check looks at; nothing for one that this page does not know."""
    return CHECKS.get(name) or CHECKS.get(name.rpartition("_")[0], "")  # of one of its engines


def write_figure(value: float | None, *, digits: int = 3) -> str:
    """Write a figure with some significant digits."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    if value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def write_check(value: float | None, check: Check) -> str:
    """Write a figure or limit of a check: shares of rows in percent."""
    if value is not None and math.isfinite(value) and check.unit == ROWS:
        return write_share(value)
    return write_figure(value)


def write_share(value: float) -> str:
    """Write a share in percent."""
    return f"{100 * value:.3g} %"


def write_bytes(count: float) -> str:
    """Write a number of bytes for people, in decimal units."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:,.0f} bytes"


def write_latency(latency_us: float) -> str:
    """Write microseconds for people."""
    for unit, factor in (("s", 1e6), ("ms", 1e3)):
        if latency_us >= factor:
            return f"{latency_us / factor:.3g} {unit}"
    return f"{latency_us:.3g} µs"
