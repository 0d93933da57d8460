"""`gatelet evaluate`.

Not the figures themselves, which are `gatelet.runtime.data.metrics`.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gatelet.cli.show import format_figure, print_json, print_table, progress
from gatelet.errors import BackendMissing, DataError, ModelError
from gatelet.runtime.bundle.opening import Bundle, is_bundle, open_bundle
from gatelet.runtime.data.arrays import Arrays, read_arrays
from gatelet.runtime.data.baseline import forecast, majority
from gatelet.runtime.data.dataset import Dataset, read
from gatelet.runtime.data.metrics import Metrics, evaluate
from gatelet.runtime.data.regression import RegressionMetrics, evaluate_regression
from gatelet.runtime.data.run import SEEN, Run, is_run, was_trained_on
from gatelet.runtime.data.truth import label_ids_of, values_of
from gatelet.runtime.predictor.predictor import open_artifact

EXAMPLE = "gatelet evaluate demo --data reviews.csv"
Figures = Metrics | RegressionMetrics


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
    parser.add_argument("--text-column", default="text", metavar="NAME", help="default: text")
    parser.add_argument("--label-column", default="label", metavar="NAME", help="default: label")


def read_data(arguments: argparse.Namespace, *, require_labels: bool) -> Dataset | Arrays:
    """Read the data file that the flags name: texts, or arrays from a .npz."""
    if arguments.data.suffix == ".npz":
        return read_arrays(arguments.data, require_targets=require_labels)
    return read(
        arguments.data,
        text_column=arguments.text_column,
        label_column=arguments.label_column,
        require_labels=require_labels,
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure a run by Keras, or every artifact of a bundle by its engine."""
    path: Path = arguments.model
    if is_run(path):
        from gatelet.train.scoring import evaluate_run

        opened = Run.open(path)
        data = read_data(arguments, require_labels=True)
        if not isinstance(data, Dataset):
            raise DataError(f"run '{path}' takes texts, and '{data.name}' holds arrays")
        figures = evaluate_run(opened, data)
        guess = majority(data.label_ids(opened.labels), opened.labels)
        if arguments.json:
            print_json({**figures.to_dict(), **_told(*guess)})
        else:
            _print_figures([("keras", "float32", figures), ("no model", *guess)])
        _warn_of_seen(opened.provenance, data)
        return 0
    if not is_bundle(path):
        what = "is neither a run nor a bundle" if path.exists() else "does not exist"
        raise ModelError(f"'{path}' {what}: give a folder that gatelet train or convert wrote")
    bundle, data = open_bundle(path), read_data(arguments, require_labels=True)
    measured = _evaluate_bundle(bundle, data)
    name, baseline = _baseline(bundle, data, measured[0][2])
    if arguments.json:
        told = _told(name, baseline)
        print_json([{"target": t, "scheme": s, **f.to_dict(), **told} for t, s, f in measured])
    else:
        _print_figures([*measured, ("no model", name, baseline)])
    _warn_of_seen(bundle.manifest.get("provenance", {}).get("training") or {}, data)
    return 0


def _told(name: str, baseline: Figures) -> dict[str, Any]:
    """Return what JSON carries of the answer that needs no model."""
    return {"baseline": {"name": name, **baseline.to_dict()}}


def _warn_of_seen(provenance: Mapping[str, Any], data: Dataset | Arrays) -> None:
    if isinstance(data, Dataset) and was_trained_on(provenance, data):
        progress(f"warning: {SEEN}")


def _baseline(bundle: Bundle, data: Dataset | Arrays, figures: Figures) -> tuple[str, Figures]:
    """Measure an answer that needs no model: the majority's label, or the last value."""
    if isinstance(figures, Metrics):
        return majority(label_ids_of(data, bundle.labels), bundle.labels)
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
    truth = label_ids_of(dataset, bundle.labels) if bundle.labels else ()
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
        rows = _rows_of(predictor.scores(_inputs_of(dataset)), bundle)
        figures = (
            evaluate(truth, rows, label_names=bundle.labels, threshold=bundle.threshold)
            if bundle.labels
            else evaluate_regression(values_of(dataset, width=len(rows[0])).tolist(), rows)
        )
        measured.append((artifact.target, artifact.scheme, figures))
    if not measured:
        raise BackendMissing("; ".join(dict.fromkeys(map(str, missing))))
    return measured


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


def _print_figures(measured: Sequence[tuple[str, str, Figures]]) -> None:
    table = [_cells(figures) for _, _, figures in measured]
    rows = [
        (target, scheme, f"{figures.rows:,}", *cells.values())
        for (target, scheme, figures), cells in zip(measured, table, strict=True)
    ]
    print_table(("target", "scheme", "rows", *table[0]), rows)


def _cells(figures: Figures) -> dict[str, str]:
    if isinstance(figures, Metrics):
        return {
            "accuracy": f"{figures.accuracy:.4f}",
            "macro F1": f"{figures.macro_f1:.4f}",
            "ROC AUC": "-" if figures.roc_auc is None else f"{figures.roc_auc:.4f}",
            "Brier": f"{figures.brier:.4f}",
        }
    return {
        "MAE": format_figure(figures.mae),
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
