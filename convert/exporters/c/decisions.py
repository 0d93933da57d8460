"""What the outputs of a model mean, in C: its labels, and `decide`.

Only of models whose bundle is of format 2: where labels and a threshold say it all, a program
compares the scores itself.
"""

import re
from collections.abc import Sequence

import numpy as np

from gatelet.convert.exporters.c.source import comment, fill, number
from gatelet.runtime.bundle.decisions import Decision

_LARGEST = """    int32_t largest = 0;
    for (int32_t i = 1; i < {count}; i++) {{
        const int is_number = scores[i] == scores[i]; /* else it never wins */
        if (is_number && (scores[i] > scores[largest] || scores[largest] != scores[largest])) {{
            largest = i;
        }}
    }}
    (void)thresholds;"""
_SECOND = """    scores[1] = {second};
    scores[0] = 1.0f - scores[1];
    const int32_t largest = scores[1] >= thresholds[0];"""


def decision_values(
    decisions: Sequence[Decision], values: dict[str, object], *, several: bool
) -> dict[str, str]:
    """Return 'decide' of the source, 'decide_declarations' of the header, 'decide_levels'.

    Args:
        decisions: Of the model; () in format 1, which gives nothing.
        values: Of the model: 'prefix', 'PREFIX'.
        several: The model has several outputs: their names are part of those in C.
    """
    source, header, levels = [], [], []
    parts = parts_of([one.output for one in decisions]) if several else [""] * len(decisions)
    for index, (one, part) in enumerate(zip(decisions, parts, strict=True)):
        named = {**values, **_named(one, part)}
        source += [fill("decide.c", named), _exported(index, named)]
        header.append(fill("decide.h", named))
        levels.append(_chosen_by_level(index, named))
    return {
        "decide": "".join(source),
        "decide_declarations": "".join(header),
        "decide_levels": "".join(levels),
    }


def parts_of(outputs: Sequence[str]) -> list[str]:
    """Return what each output's names have behind the prefix; no two have the same."""
    parts: list[str] = []
    for name in outputs:
        stem = part = f"_{re.sub('[^a-z0-9]+', '_', name.lower())}"
        number = 1
        while part in parts:
            number += 1
            part = f"{stem}_{number}"
        parts.append(part)
    return parts


def _named(one: Decision, part: str) -> dict[str, str]:
    count, width = len(one.labels), one.width
    applied = one.activation != "none"
    kind = f"(struct gatelet_activation){{.kind = GATELET_{one.activation.upper()}}}"
    if width == 1:
        second = "outputs[0]"
        lines = []
        if applied:
            lines = ["    float made;", f"    gatelet_activate({kind}, outputs, &made, 1);"]
            second = "made"
        lines.append(_SECOND.format(second=second))
    else:
        call = f"gatelet_activate_axis({kind}, outputs, scores, 1, {count}, 1);"
        lines = [f"    {call if applied else f'memcpy(scores, outputs, sizeof(float) * {count});'}"]
        if not one.multi_label:
            lines.append(_LARGEST.format(count=count))
    return {
        "output": comment(one.output),
        "how": comment(str(one)),
        "part": part,
        "PART": part.upper(),
        "stem": f"{part[1:]}_" if part else "",
        "count": str(count),
        "width": str(width),
        "what": "a timestep" if one.steps else "a row",
        "padding": " Padding has no label: leave its timesteps out." if one.steps else "",
        "after": f"after {one.activation}" if applied else "as the model gives them",
        "labels": ", ".join(map(c_text, one.labels)),
        "thresholds": ", ".join(map(at_least, one.thresholds)) or "0.0f",
        "activate": "\n".join(lines),
        "chooses": "scores[i] >= thresholds[i]" if one.multi_label else "i == largest",
    }


def at_least(threshold: float) -> str:
    """Write the smallest float32 that is not below a threshold: as many scores are above it."""
    single = np.float32(threshold)
    return number(float(single if single >= threshold else np.nextafter(single, np.float32(2))))


def c_text(label: str) -> str:
    """Write a label as a string of C, whatever is in it."""
    plain = re.compile(r"[A-Za-z0-9 _.,:+-]")
    data = label.encode("utf-8", "backslashreplace").decode("latin-1")
    written = (one if plain.match(one) else f"\\{ord(one):03o}" for one in data)
    return f'"{"".join(written)}"'


def _exported(index: int, named: dict[str, object]) -> str:
    """Let a library of one level hand the function out, for parity."""
    given = _handed_out(index, f"NAME({named['stem']}decide)")
    return f"\n#if defined(GATELET_LIBRARY) && defined(GATELET_ONE_LEVEL)\n{given}#endif\n"


def _chosen_by_level(index: int, named: dict[str, object]) -> str:
    """Let a library of several levels hand out that of the plain one."""
    function = f"{named['prefix']}{named['part']}_decide_plain"
    given = "const float *outputs, float *scores, uint8_t *chosen"
    return (
        "#if defined(__x86_64__) || defined(__aarch64__)\n"
        f"extern int32_t {function}({given});\n{_handed_out(index, function)}#endif\n"
    )


def _handed_out(index: int, function: str) -> str:
    return (
        f"GATELET_EXPORT int32_t gatelet_decide_{index}(const float *outputs, float *scores,\n"
        "                                         uint8_t *chosen) {\n"
        f"    return {function}(outputs, scores, chosen);\n}}\n"
    )
