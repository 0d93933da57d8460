"""How programs print scores: as `gatelet predict` prints them.

Not the programs: see `gatelet.convert.packages.programs`.
"""

from collections.abc import Mapping

from gatelet.convert.exporters.c.decisions import c_text, parts_of
from gatelet.convert.packages.filling import fill
from gatelet.convert.packages.package import Package
from gatelet.runtime.bundle.decisions import Decision


def print_values(package: Package, values: Mapping[str, object]) -> dict[str, str]:
    """Return the functions that print an output, and their calls for a row and for a step."""
    bundle, graph = package.bundle, package.graph
    rules = {one.output: one for one in bundle.decisions}
    parts = dict(zip(rules, parts_of(list(rules)), strict=True))
    is_single = len(graph.outputs) == 1
    functions, rows, steps = [], [], []
    for place, output in enumerate(graph.outputs):
        rank = len(graph.shape_of(output))
        part = "" if is_single else parts.get(output, "")
        named = {**values, "name": f"output_{place}", "part": part, "PART": part.upper()}
        rule = rules.get(output)
        decides = rule is not None or (is_single and bool(bundle.labels) and rank in (2, 3))
        functions.append(fill(f"programs/{_template(package, rule, decides)}", named))
        if decides and rank != 2 and rule is None:  # a row of format 1 has one label, or none
            functions.append(
                fill("programs/print_numbers.h", {**named, "name": f"output_{place}_row"})
            )
        call = f"(outputs[{place}], counts[{place}], "
        between = '"  "' if is_single else '" "'
        row = f"print_output_{place}{'_row' if decides and rank != 2 and rule is None else ''}"
        step = f"print_output_{place}{call}{between});"
        if rule is not None and rule.steps:
            functions.append(
                fill("programs/print_steps.h", {**named, "width": rule.width, "place": "t"})
            )
            rows.append(f"print_output_{place}_steps{call}ids);")
        else:
            rows.append(f"{row}{call}{between});")
        steps.append(step)
    return {
        "outputs": "".join(functions),
        "row": _said(package, rows),
        "step": _said(package, steps),
    }


def _template(package: Package, rule: Decision | None, decides: bool) -> str:
    if rule is not None:
        return "print_several.h" if rule.multi_label else "print_decided.h"
    if not decides:
        return "print_numbers.h"
    width = package.graph.shape_of(package.graph.outputs[0])[-1]
    return "print_second.h" if width in (1, None) else "print_largest.h"


def _said(package: Package, calls: list[str]) -> str:
    """Write the calls, each behind its output's name where there are several."""
    if len(calls) == 1:
        return f"    {calls[0]}"
    lines = []
    after, between = (": ", "; ") if package.bundle.decisions else (" ", "  ")
    for place, (call, output) in enumerate(zip(calls, package.graph.outputs, strict=True)):
        name = f"{between if place else ''}{output}{after}"
        lines += [f"    SAY({c_text(name)});", f"    {call}"]
    return "\n".join(lines)
