"""A check that nothing may differ, and the sentence that tells what does.

Not the comparison.
"""

from collections.abc import Sequence

from gatelet.convert.parity.report import Check

QUESTION = "computes"
_TOLD = 2


def counted(
    name: str, differing: Sequence[str], unit: str, of: int, *, question: str = QUESTION
) -> Check:
    """Return a check that nothing may differ.

    Args:
        name: Of the check.
        differing: A sentence on each thing that differs; the first ones are told.
        unit: What was compared: 'entries' of a vocabulary.
        of: How many of them.
        question: That it answers.
    """
    note = f"{of:,} {unit}"
    if differing:
        more = len(differing) - _TOLD
        note = "; ".join(differing[:_TOLD]) + (f"; and {more:,} more" if more > 0 else "")
    verdict = "fail" if differing else "pass"
    figure = float(len(differing))
    return Check(name, figure, 0.0, verdict, unit=unit, note=note, question=question)
