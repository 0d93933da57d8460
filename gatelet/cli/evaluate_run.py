"""`gatelet evaluate RUN`: Keras' own figures of a trained run.

Not those of a bundle: see `gatelet.cli.evaluate`.
"""

import argparse

from gatelet.cli.evaluate import baseline_of, distinct_rows, print_figures, told_of, warn_of_seen
from gatelet.cli.show import print_json
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.run import Run
from gatelet.train.inputs import read_like
from gatelet.train.scoring import evaluate_run


def run_on_run(arguments: argparse.Namespace) -> int:
    """Measure a run on rows of the kind that it was trained on."""
    opened = Run.open(arguments.model)
    asked = {name: getattr(arguments, name) for name in ("text_column", "label_column", "group")}
    data = read_like(opened, arguments.data, **asked)
    vectorizer = opened.vectorizer() if opened.takes_texts else None
    distinct = None if opened.task == "tags" else distinct_rows(data, vectorizer)
    figures = evaluate_run(opened, data, distinct=distinct)
    guess = baseline_of(opened.labels, data, figures)
    trained = opened.baseline(data) if isinstance(data, Dataset) else None
    if arguments.json:
        print_json({**figures.to_dict(), **told_of(*(trained or guess))})
    else:
        beside = [("no network", *trained)] if trained else []
        print_figures([("keras", "float32", figures), *beside, ("no model", *guess)])
    warn_of_seen(opened.provenance, data)
    return 0
