"""`gatelet evaluate`.

Not the figures themselves, which are `gatelet.runtime.data.metrics`.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gatelet.cli.predict_arrays import tell_outside
from gatelet.cli.show import format_figure, print_json, print_table, progress
from gatelet.errors import BackendMissing, DataError, ModelError
from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.bundle.opening import Bundle, is_bundle, open_bundle
from gatelet.runtime.data.arrays import Arrays, read_arrays
from gatelet.runtime.data.baseline import forecast, majority
from gatelet.runtime.data.dataset import Dataset, read, sha256_of
from gatelet.runtime.data.distinct import Distinct, distinct_of
from gatelet.runtime.data.metrics import Metrics, SetMetrics, evaluate, evaluate_sets
from gatelet.runtime.data.regression import RegressionMetrics, evaluate_regression
from gatelet.runtime.data.run import SEEN, is_run, was_trained_on
from gatelet.runtime.data.tags import tag_ids_of
from gatelet.runtime.data.truth import label_ids_of, label_sets_of, values_of
from gatelet.runtime.predictor.loading import open_artifact
from gatelet.runtime.predictor.meanings import real_timesteps
from gatelet.runtime.predictor.predictor import Predictor
from gatelet.runtime.vectorizer.opening import AnyVectorizer

EXAMPLE = "gatelet evaluate demo --data reviews.csv"
Figures = Metrics | SetMetrics | RegressionMetrics


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", type=Path, metavar="RUN|BUNDLE")
    add_data(parser, required=True)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def add_data(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Declare the flags of a data file."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        required=required,
        help="CSV, TSV or JSONL, also .gz; .npz for features",
    )
    parser.add_argument("--text-column", metavar="NAME", help="default: text, or as trained")
    parser.add_argument("--label-column", metavar="NAME", help="default: label, or as trained")
    parser.add_argument(
        "--group",
        metavar="COLUMN",
        help="the column that says which rows belong together, of one author or machine; of a "
        ".npz the array, default: group",
    )


def read_data(arguments: argparse.Namespace, *, require_labels: bool) -> Dataset | Arrays:
    """Read the data file that the flags name: texts, or arrays from a .npz."""
    if arguments.data.suffix == ".npz":
        return read_arrays(arguments.data, require_targets=require_labels, group=arguments.group)
    return read(
        arguments.data,
        text_column=arguments.text_column or "text",
        label_column=arguments.label_column or "label",
        require_labels=require_labels,
        group_column=arguments.group or "",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure a run by Keras, or every artifact of a bundle by its engine."""
    path: Path = arguments.model
    if is_run(path):
        from gatelet.cli.evaluate_run import run_on_run

        return run_on_run(arguments)
    if not is_bundle(path):
        what = "is neither a run nor a bundle" if path.exists() else "does not exist"
        raise ModelError(f"'{path}' {what}: give a folder that gatelet train or convert wrote")
    bundle, data = open_bundle(path), read_data(arguments, require_labels=True)
    measured = _evaluate_bundle(bundle, data)
    name, guess = baseline_of(bundle.labels, data, measured[0][2])
    trained = _trained_beside(bundle, data)
    if arguments.json:
        told = {"baseline": trained[0]} if trained else told_of(name, guess)
        print_json([{"target": t, "scheme": s, **f.to_dict(), **told} for t, s, f in measured])
    else:
        beside = [("no network", str(trained[0]["name"]), trained[1])] if trained else []
        print_figures([*measured, *beside, ("no model", name, guess)])
    warn_of_seen(bundle.manifest.get("provenance", {}).get("training") or {}, data)
    return 0


def _trained_beside(
    bundle: Bundle, data: Dataset | Arrays
) -> tuple[Mapping[str, Any], Metrics] | None:
    """Return what was trained beside the model, as the manifest has it, and as figures.

    They are known of the run's test part only: over other rows, and of a damaged manifest, None.
    """
    provenance = bundle.manifest.get("provenance") or {}
    found = (provenance.get("training") or {}).get("baseline")
    if not (found and isinstance(data, Dataset)):
        return None
    if sha256_of(data) != provenance.get("test_data_sha256"):
        return None
    area = found.get("roc_auc")
    try:
        figures = Metrics(
            rows=int(found["rows"]),
            accuracy=float(found["accuracy"]),
            macro_f1=float(found["macro_f1"]),
            brier=float(found["brier"]),
            precision=math.nan,
            recall=math.nan,
            roc_auc=None if area is None else float(area),
            confusion_matrix=(),
            per_label=(),
            labels=(),
        )
    except (KeyError, TypeError, ValueError):
        return None
    return found, figures


def told_of(name: str, baseline: Figures) -> dict[str, Any]:
    """Return what JSON carries of the answer that needs no model."""
    return {"baseline": {"name": name, **baseline.to_dict()}}


def warn_of_seen(provenance: Mapping[str, Any], data: Dataset | Arrays) -> None:
    """Say so where rows are those that the model was trained on."""
    if was_trained_on(provenance, data):
        progress(f"warning: {SEEN}")


def baseline_of(
    labels: Sequence[str], data: Dataset | Arrays, figures: Figures
) -> tuple[str, Figures]:
    """Measure an answer that needs no model: the majority's label, or the last value.

    Args:
        labels: Of the model.
        data: What it was measured on.
        figures: Its own.
    """
    if isinstance(figures, SetMetrics):
        truth = label_sets_of(data, labels)
        shares = [sum(column) / len(truth) for column in zip(*truth, strict=True)]
        halves, rows = [0.5] * len(shares), [shares] * len(truth)
        found = evaluate_sets(truth, rows, label_names=labels, thresholds=halves)
        return "what most rows have", found
    if isinstance(figures, Metrics):
        counts = enumerate(map(sum, figures.confusion_matrix))
        return majority([label for label, n in counts for _ in range(n)], figures.labels)
    last = [
        array[:, -1].tolist()
        for array in (data.inputs if isinstance(data, Arrays) else ())
        if array.ndim == 3 and array.dtype.kind == "f"
    ]
    targets = data.targets if isinstance(data, Arrays) else None
    rows = values_of(data, width=1 if targets is None else int(targets[0].size)).tolist()
    ends = [[v for part in row for v in part] for row in zip(*last, strict=True)]
    return forecast(rows, ends or [[]] * len(rows))


def _evaluate_bundle(bundle: Bundle, dataset: Dataset | Arrays) -> list[tuple[str, str, Figures]]:
    if not bundle.artifacts:
        raise DataError(f"bundle '{bundle.path}' has no artifacts, so there is nothing to evaluate")
    measured, missing = [], []
    for artifact in bundle.artifacts:
        progress(f"evaluating {artifact.target} {artifact.scheme} on {len(dataset):,} rows")
        try:
            predictor = open_artifact(bundle, artifact)
        except BackendMissing as error:
            progress(f"left out: {error}")
            missing.append(error)
            continue
        figures = _figures(predictor, dataset)
        tell_outside(predictor)
        measured.append((artifact.target, artifact.scheme, figures))
    if not measured:
        raise BackendMissing("; ".join(dict.fromkeys(map(str, missing))))
    return measured


def _figures(predictor: Predictor, data: Dataset | Arrays) -> Figures:
    """Measure one artifact: what its bundle says of the outputs tells what is right."""
    bundle, inputs = predictor.bundle, _inputs_of(data)
    distinct = distinct_rows(data, bundle.vectorizer())
    rule = bundle.decisions[0] if len(bundle.decisions) == 1 else None
    scores = predictor.scores(inputs)
    if rule is None:
        rows = _rows_of(scores, bundle)
        if not bundle.labels:
            values = values_of(data, width=len(rows[0])).tolist()
            return evaluate_regression(values, rows, distinct=distinct)
        truth, names, threshold = label_ids_of(data, bundle.labels), bundle.labels, bundle.threshold
        return evaluate(truth, rows, label_names=names, threshold=threshold, distinct=distinct)
    names = rule.labels
    if rule.steps:
        return _figures_of_steps(predictor, scores, data, rule)
    rows = [rule.scores_of(row) for row in _rows_of(scores, bundle)]
    if rule.multi_label:
        sets = label_sets_of(data, names)
        return evaluate_sets(
            sets, rows, label_names=names, thresholds=rule.thresholds, distinct=distinct
        )
    truth, threshold = label_ids_of(data, names), bundle.threshold
    return evaluate(truth, rows, label_names=names, threshold=threshold, distinct=distinct)


def distinct_rows(data: Dataset | Arrays, vectorizer: AnyVectorizer | None) -> Distinct | None:
    """Return which rows count for intervals, by what the model is given; None without groups."""
    if data.groups is None:
        return None
    if isinstance(data, Dataset):
        ids = (t if vectorizer is None else tuple(vectorizer.pad(t)) for t in data.texts)
        return distinct_of(ids, data.groups)
    inputs = [one.astype("float32") + 0 for one in data.inputs]
    rows = zip(*inputs, strict=True)
    return distinct_of((tuple(one.tobytes() for one in row) for row in rows), data.groups.tolist())


def _figures_of_steps(
    predictor: Predictor, scores: Any, data: Dataset | Arrays, rule: Decision
) -> Figures:
    """Measure the labels of real timesteps, one after the other."""
    bundle, vectorizer = predictor.bundle, predictor.bundle.vectorizer()
    rows = scores.tolist() if hasattr(scores, "tolist") else scores
    sizes = [len(row) for row in rows]
    right = _labels_of_steps(data, rule, vectorizer)
    if right is None or rule.multi_label or [len(row) for row in right] != sizes:
        raise DataError(
            f"bundle '{bundle.path}' has scores for each timestep: give one label for each, a .npz "
            'whose y is [N, T], or JSONL with "text" and "labels"; or compare its scores with '
            "parity"
        )
    outputs = {rule.output: rows}
    graph = bundle.interface()
    real = real_timesteps((rule,), outputs, _inputs_of(data), graph, vectorizer)
    kept = [one for row in real.get(rule.output, [[True] * size for size in sizes]) for one in row]
    steps = [
        (number, step)
        for row, numbers in zip(rows, right, strict=True)
        for step, number in zip(row, numbers, strict=True)
    ]
    pairs = [pair for pair, is_real in zip(steps, kept, strict=True) if is_real]
    return evaluate(
        [number for number, _ in pairs],
        [rule.scores_of(step) for _, step in pairs],
        label_names=rule.labels,
        threshold=rule.thresholds[0] if rule.thresholds else 0.5,
    )


def _labels_of_steps(
    data: Dataset | Arrays, rule: Decision, vectorizer: AnyVectorizer | None
) -> list[list[int]] | None:
    """Return the number of each timestep's label, -1 at padding; None where there are none."""
    if isinstance(data, Dataset):
        if data.label_lists is None:
            return None
        found: list[list[int]] = tag_ids_of(data, rule.labels, vectorizer).tolist()
        return found
    if data.targets is None or data.targets.ndim < 2:
        return None
    steps = len(data.targets[0])
    flat = data.targets.reshape(len(data) * steps, -1)
    numbers = label_ids_of(Arrays((flat,), flat, data.name), rule.labels)
    return [numbers[at : at + steps] for at in range(0, len(numbers), steps)]


def _rows_of(scores: Any, bundle: Bundle) -> list[list[float]]:
    """Return one list of numbers a row: a regression's sequence one after the other."""
    if isinstance(scores, dict):
        raise DataError(
            f"bundle '{bundle.path}' has {len(scores)} outputs ({', '.join(scores)}), and the "
            "data have right answers for one: compare its scores with parity"
        )
    rows = scores.tolist() if hasattr(scores, "tolist") else list(scores)
    if bundle.labels and isinstance(rows[0][0], list):
        raise DataError(
            f"bundle '{bundle.path}' has scores for each timestep, and the data one label for "
            "each row: compare its scores with parity"
        )
    return [list(_numbers(row)) for row in rows]


def _numbers(row: Any) -> Iterator[float]:
    for one in row:
        if isinstance(one, list):
            yield from _numbers(one)
        else:
            yield one


def _inputs_of(data: Dataset | Arrays) -> Any:
    if isinstance(data, Dataset):
        return list(data.texts)
    return data.inputs[0] if len(data.inputs) == 1 else list(data.inputs)


def print_figures(measured: Sequence[tuple[str, str, Figures]]) -> None:
    """Print a table: a line for each target and scheme."""
    grouped = any(figures.interval is not None for _, _, figures in measured)
    table = [_cells(figures, with_intervals=grouped) for _, _, figures in measured]
    rows = [
        (target, scheme, f"{figures.rows:,}", *cells.values())
        for (target, scheme, figures), cells in zip(measured, table, strict=True)
    ]
    print_table(("target", "scheme", "rows", *table[0]), rows)


def _cells(figures: Figures, *, with_intervals: bool) -> dict[str, str]:
    low, high = figures.interval or (math.nan, math.nan)
    told = "-" if figures.interval is None else f"[{low:.4f}, {high:.4f}]"
    interval = {"95 % interval": told} if with_intervals else {}
    if isinstance(figures, Metrics | SetMetrics):
        return {
            "accuracy": f"{figures.accuracy:.4f}",
            **interval,
            "macro F1": f"{figures.macro_f1:.4f}",
            "ROC AUC": "-" if figures.roc_auc is None else f"{figures.roc_auc:.4f}",
            "Brier": f"{figures.brier:.4f}",
        }
    return {
        "MAE": format_figure(figures.mae),
        **interval,
        "RMSE": format_figure(figures.rmse),
        "R2": f"{figures.r2:.4f}",
        "max error": format_figure(figures.max_error),
        **(
            {
                "MAE a horizon": " ".join(map(format_figure, figures.mae_by_horizon)),
                "R2 a horizon": " ".join(f"{one:.3f}" for one in figures.r2_by_horizon),
            }
            if figures.mae_by_horizon
            else {}
        ),
    }
