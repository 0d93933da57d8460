"""The part of `gatelet inspect` for models that are not converted yet.

Not for bundles, which need no converter: those are in `gatelet.cli.inspect`.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gatelet.cli.show import print_json, print_line, print_table
from gatelet.cli.show_graph import show_graph
from gatelet.convert.inspection import Lint, lint
from gatelet.convert.passes.rewriting import padded_timesteps
from gatelet.convert.reading.model_source import open_source
from gatelet.errors import UnsupportedLayer
from gatelet.runtime.terminal import one_line


def inspect_model(path: Path, *, config: Path | None, as_json: bool) -> int:
    """Show what converting a Keras model or a run would give.

    Args:
        path: The model or run.
        config: Its configuration, where its file holds weights only.
        as_json: Print one JSON object: the Graph, and the findings under 'lint'.

    Returns:
        The exit code.

    Raises:
        UnsupportedLayer: Something stands in the way, with the first; the other findings are
            printed all the same, and as JSON all of them.
    """
    try:
        source = open_source(path, config=config)
        found = lint(
            source.model,
            padded_timesteps=padded_timesteps(source),
            vectorizer=source.vectorizer,
        )
    except UnsupportedLayer as error:  # what cannot even be read stands in the way too
        found = Lint(None, None, (), (str(error),), ())
    if as_json:
        print_json(_as_dict(found))
    else:
        _show(found)
    if found.obstacles:
        raise UnsupportedLayer(found.obstacles[0])
    return 0


def _as_dict(found: Lint) -> dict[str, Any]:
    graph = json.loads(found.graph.to_json()) if found.graph is not None else {}
    return {
        **graph,
        "lint": {
            "obstacles": list(found.obstacles),
            "notes": list(found.notes),
            "parameters": found.graph.parameters if found.graph is not None else None,
            "multiply_accumulates": asdict(found.cost) if found.cost is not None else None,
            "artifacts": [asdict(one) for one in found.prospects],
        },
    }


def _show(found: Lint) -> None:
    for obstacle in found.obstacles[1:]:  # the first is what the command ends with
        print_line(f"obstacle   {one_line(obstacle)}")
    for note in found.notes:
        print_line(f"note       {one_line(note)}")
    if found.graph is None or found.cost is None:
        return
    print_line(
        f"cost       {found.cost.per_timestep:,} multiply-accumulates a timestep, "
        f"{found.cost.per_row:,} a row"
    )
    show_graph(found.graph)
    print_line()
    rows = [
        (
            one.target,
            one.scheme,
            "-" if one.bytes is None else f"{one.bytes:,}",
            one_line(one.obstacle) or "can be made",
        )
        for one in found.prospects
    ]
    print_table(("target", "scheme", "about bytes", ""), rows)
