"""Which judged rows hold values outside the range that artifacts in integers were calibrated for.

Not a check: what is cut shows in the scores, or nowhere.
"""

from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.predictor.ranges import RangeWatch


def notes_on_ranges(bundle: Bundle, oracle: Oracle) -> tuple[str, ...]:
    """Return a sentence for each calibrated artifact that is given what it was not calibrated for.

    Args:
        bundle: The opened bundle.
        oracle: The judged rows; of made-up ones there is nothing to tell.
    """
    if oracle.made_up:
        return ()
    inputs, rows = bundle.interface().inputs, len(oracle.inputs)
    found = []
    for one in bundle.artifacts:
        if not one.ranges:
            continue
        watch = RangeWatch(one.ranges, inputs, name=str(bundle.path))
        outside = sum(count > 0 for count in watch.by_row(oracle.inputs.feed))
        if outside:
            hold = "row holds" if outside == 1 else "rows hold"
            found.append(
                f"{outside:,} of {rows:,} {hold} values outside the range that {one.target} "
                f"{one.scheme} was calibrated for, and may be cut: convert again with --data ROWS "
                "like these"
            )
    return tuple(found)
