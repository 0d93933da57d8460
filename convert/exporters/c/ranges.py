"""The range of features that full-int8 was calibrated for, in C: a macro for each input.

Not the scales, by which values beyond it are cut.
"""

from collections.abc import Mapping
from typing import Any

from gatelet.convert.exporters.c.source import comment, fill, number
from gatelet.convert.exporters.ranges import input_ranges
from gatelet.runtime.graph.graph import Graph


def range_declarations(graph: Graph, observed: Mapping[str, Any], prefix: object) -> str:
    """Return what a header says of the range of each input of features; '' in floats.

    Args:
        graph: The model.
        observed: The largest magnitudes of calibration, by name; {} in floats.
        prefix: Of the macros' names, which end in the place of the input where there are several.
    """
    places = {one.name: place for place, one in enumerate(graph.inputs)}
    several = len(places) > 1
    return "".join(
        fill(
            "range.h",
            {
                "NAME": f"{prefix}_RANGE{f'_{places[one.name]}' if several else ''}",
                "features": len(one.largest),
                "input": comment(one.name),
                "largest": ", ".join(map(number, one.largest)),
            },
        )
        for one in input_ranges(graph, observed)
    )
