"""What each file stores of each layer, as a table: the weights in float32, then every artifact.

Not measured in the files: counted as their schemes store them, see `gatelet.runtime.bundle.sizes`.
"""

from collections.abc import Sequence

from gatelet.convert.report.elements import Element, element, folding_table, shown
from gatelet.runtime.bundle.sizes import Sizes, layers_of

OPEN_FILES = 8
_NAME_CHARACTERS = 40


def files_table(found: Sequence[Sizes]) -> Element:
    """Draw the table.

    Args:
        found: What `sizes_of` gave.
    """
    columns = [layers_of(one) for one in found]
    keys = dict.fromkeys(key for column in columns for key in column)
    header = [element("th", text, scope="col") for text in ("layer", "what")]
    header += [element("th", one.name, scope="col", class_="number") for one in found]
    rows = [
        _row(layer, kind, [column.get((layer, kind)) for column in columns])
        for layer, kind in sorted(keys, key=lambda key: (not key[0], key[1] == "rest"))
    ]
    rows.append(_row("all", "", [one.bytes for one in found]))
    return folding_table(
        "Bytes by layer in each file",
        header,
        rows,
        label="bytes by layer in each file",
        is_open=len(found) <= OPEN_FILES,
    )


def _row(layer: str, kind: str, counts: Sequence[int | None]) -> Element:
    cells = ("-" if count is None else f"{count:,}" for count in counts)
    return element(
        "tr",
        element("th", shown(layer, _NAME_CHARACTERS) or "-", scope="row"),
        element("td", kind),
        *(element("td", cell, class_="number") for cell in cells),
    )
