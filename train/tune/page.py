"""The front of a study as one HTML page: the picture, what each point costs, and how to get it.

Not the picture itself, which is `gatelet.train.tune.picture`.
"""

import json

from gatelet.train.baseline import baseline_line
from gatelet.train.tasks import headline
from gatelet.train.tune.folder import TRIALS
from gatelet.train.tune.picture import safe
from gatelet.train.tune.results import Point, Result

STYLE = """
  body { font: 15px system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
         color: #222; background: #fff; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: right; padding: 0.3rem 0.6rem; border-bottom: 1px solid #8884; }
  th:last-child, td:last-child { text-align: left; }
  tr.chosen { font-weight: 600; }
  code { font: 13px ui-monospace, monospace; }
  @media (prefers-color-scheme: dark) { body { color: #ddd; background: #16181c; } }
"""
HEADER = ("trial", "", "loss", "bytes", "exported", "multiply-adds", "settings")


def page(result: Result, picture: str) -> str:
    """Write the page.

    Args:
        result: The study.
        picture: Its SVG.

    Returns:
        An HTML document that needs nothing else.
    """
    config, states = result.config, [one.state for one in result.points]
    counts = ", ".join(
        f"{states.count(state)} {word}"
        for state, word in (
            ("complete", "to their end"),
            ("stopped", "stopped"),
            ("failed", "failed"),
        )
        if states.count(state)
    )
    test = json.loads((result.run.path / "metrics.json").read_text("utf-8"))
    line = baseline_line(test)
    beside = f" Beside it {safe(line)}." if line else ""
    rows = "\n".join(_row(result, one) for one in result.front)
    header = "".join(f"<th>{name or config.figure}</th>" for name in HEADER)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{safe(result.name)}: {len(result.points)} trials</title>
<style>{STYLE}</style>
<h1>{safe(result.name)}: {len(result.points)} trials</h1>
<p>{counts}. Figures are those of the validation part. Bytes are those of the c artifact
in {safe(config.scheme)}: predicted, and of the file that was exported.</p>
{picture}
<h2>The front</h2>
<table>
<tr>{header}</tr>
{rows}
</table>
<p>Trial {result.chosen.trial.number} was chosen. Of the test part, which no trial has seen:
{headline(test)} on {test["rows"]:,} rows.{beside}</p>
<p><code>gatelet train --config {TRIALS}/{result.chosen.trial.number:04}.toml --out RUN</code>
trains the model of a trial again.</p>
</html>
"""


def _row(result: Result, point: Point) -> str:
    trial = point.trial
    kept = trial.epochs[trial.best - 1]
    exported = "-" if point.exported_bytes is None else f"{point.exported_bytes:,}"
    settings = ", ".join(f"{name} {shown(one)}" for name, one in result.varied(point).items())
    cells = (
        trial.number,
        f"{kept.val_accuracy:.4f}",
        f"{kept.val_loss:.4f}",
        f"{trial.bytes:,}",
        exported,
        f"{point.macs:,}",
        settings,
    )
    text = "".join(f"<td>{safe(cell)}</td>" for cell in cells)
    return f'<tr class="chosen">{text}</tr>' if point.is_chosen else f"<tr>{text}</tr>"


def shown(value: object) -> str:
    """Write a setting: a number with three digits, a truth value as TOML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)
