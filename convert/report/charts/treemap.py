"""Where the bytes are: one rectangle a layer, and one bar an artifact.

Not the sections of an artifact's file: layers are measured in the graph, in float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gatelet.convert.report.charts.axes import Frame, chart, linear, panel
from gatelet.convert.report.elements import Element, element, folding_table
from gatelet.convert.report.figures import write_bytes, write_share

WIDTH, HEIGHT = 340, 220
OPEN_LAYERS = 12
_CHARACTER_WIDTH = 7.0
_ROW_HEIGHT = 40

Box = tuple[float, float, float, float]
"""x, y, width, height."""


@dataclass(frozen=True)
class LayerBytes:
    """The weights of one layer.

    Args:
        name: Of the layer.
        op: Its operation, such as Embedding.
        bytes: Of its weights.
    """

    name: str
    op: str
    bytes: int


def sizes(
    layers: Sequence[LayerBytes], artifacts: Sequence[tuple[str, int]], files: Element
) -> Element:
    """Draw both charts, and the layers as a table.

    Args:
        layers: Those with weights.
        artifacts: Target and scheme, and the bytes of the file.
        files: What each file stores of each layer.
    """
    total = sum(layer.bytes for layer in layers)
    ordered = sorted(layers, key=lambda layer: -layer.bytes)
    embedding = sum(layer.bytes for layer in layers if layer.op == "Embedding")
    if not total:
        said = "The model has no weights."
    elif embedding:
        said = f"Embeddings hold {write_share(embedding / total)} of the weights' bytes."
    else:
        said = "The model has no embedding."
    return chart(
        "Size",
        f"{said} Areas are the bytes of each layer's weights in float32, "
        f"{write_bytes(total)} in all; bars are the files as they are shipped.",
        element(
            "div",
            panel(
                "Weights by layer",
                _picture(ordered, total),
                "An embedding has a bold frame.",
            ),
            panel("Files", _bars(artifacts), "Bytes of each artifact's file."),
            class_="panels",
        ),
        _table(ordered, total),
        files,
    )


def _picture(layers: Sequence[LayerBytes], total: int) -> Element:
    boxes = squarify([layer.bytes for layer in layers], (0.0, 0.0, float(WIDTH), float(HEIGHT)))
    marks = []
    for layer, (x, y, width, height) in zip(layers, boxes, strict=True):
        kind = "box embedding" if layer.op == "Embedding" else "box"
        marks.append(
            element(
                "rect",
                element("title", f"{layer.name}: {layer.bytes:,} bytes"),
                x=x + 1,
                y=y + 1,
                width=max(0.5, width - 2),
                height=max(0.5, height - 2),
                class_=kind,
            )
        )
        lines = (layer.op, write_bytes(layer.bytes), write_share(layer.bytes / total))
        room = int((width - 10) / _CHARACTER_WIDTH)
        for number, line in enumerate(lines):
            if len(line) <= room and height > 20 + 16 * number:
                marks.append(
                    element("text", line, x=x + 8, y=y + 18 + 16 * number, class_="on-box")
                )
    return element(
        "svg",
        *marks,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label="treemap of the weights' bytes by layer; the table below has the same figures",
    )


def squarify(values: Sequence[int], box: Box) -> list[Box]:
    """Divide a rectangle into areas that are nearly square.

    Args:
        values: In falling order, above 0.
        box: The rectangle.

    Source: Bruls, Huizing & van Wijk 2000, Squarified treemaps.
    """
    made: list[Box] = []
    rest = [float(value) for value in values]
    x, y, width, height = box
    scale = width * height / sum(rest) if rest else 0.0
    areas = [value * scale for value in rest]
    while areas:
        side = min(width, height)
        count = 1
        while count < len(areas) and _ratio(areas[: count + 1], side) <= _ratio(
            areas[:count], side
        ):
            count += 1
        row, areas = areas[:count], areas[count:]
        thickness = sum(row) / side if side else 0.0
        place = 0.0
        for area in row:
            length = area / thickness if thickness else 0.0
            made.append(
                (x, y + place, thickness, length)
                if width >= height
                else (x + place, y, length, thickness)
            )
            place += length
        if width >= height:
            x, width = x + thickness, max(0.0, width - thickness)
        else:
            y, height = y + thickness, max(0.0, height - thickness)
    return made


def _ratio(areas: Sequence[float], side: float) -> float:
    """Return the worst ratio of sides in a row of rectangles along `side`."""
    whole = sum(areas)
    if not whole or not side:
        return float("inf")
    return max(
        max(side**2 * area / whole**2, whole**2 / (side**2 * area)) if area else float("inf")
        for area in areas
    )


def _bars(artifacts: Sequence[tuple[str, int]]) -> Element:
    most = max((count for _, count in artifacts), default=1)
    frame = Frame(
        linear(0, most, write=write_bytes),
        None,
        "size of the file (kB, MB: decimal)",
        height=60 + _ROW_HEIGHT * max(1, len(artifacts)),
    )
    marks = []
    for number, (name, count) in enumerate(artifacts):
        y = 14 + _ROW_HEIGHT * number
        text = f"{name}  {count:,} bytes"
        marks.append(element("text", text, x=frame.left + 2, y=y + 10))
        length = frame.at_x(count) - frame.at_x(0)
        marks.append(element("rect", x=frame.left, y=y + 15, width=length, height=12, class_="bar"))
    return frame.draw(*marks, label="bytes of each artifact's file")


def _table(layers: Sequence[LayerBytes], total: int) -> Element:
    rows = (
        element(
            "tr",
            element("th", layer.name, scope="row"),
            element("td", layer.op),
            element("td", f"{layer.bytes:,}", class_="number"),
            element("td", write_share(layer.bytes / total), class_="number"),
        )
        for layer in layers
    )
    kinds = {"layer": None, "operation": None, "bytes": "number", "share": "number"}
    header = (element("th", text, scope="col", class_=kind) for text, kind in kinds.items())
    return folding_table(
        "The layers as a table",
        header,
        rows,
        label="bytes by layer",
        is_open=len(layers) <= OPEN_LAYERS,
    )
