"""The worst examples as cards: the text, what the model was given, and what each side says.

Not their choice, which is `gatelet.convert.report.examples`.
"""

import math
from collections.abc import Sequence

from gatelet.convert.report.charts.axes import chart
from gatelet.convert.report.elements import Element, element, shown
from gatelet.convert.report.examples import Answer, Example, Token
from gatelet.convert.report.figures import write_figure

TEXT_CHARACTERS = 400
TOKENS = 60
_TOKEN_CHARACTERS = 40
_LABEL_CHARACTERS = 60


def cards(examples: Sequence[Example], *, with_texts: bool) -> Element:
    """Show the rows that artifacts get most wrong.

    Args:
        examples: In the order in which they are shown.
        with_texts: False says that texts were left out on purpose.
    """
    title = "Worst examples"
    if not examples:
        return chart(title, "No artifact differs from the oracle in any row.")
    said = (
        "The rows on which an artifact is farthest from the oracle, flips first, the artifacts "
        "in turn."
    )
    if not with_texts:
        said += " Texts, words and ids are left out, as was asked."
    elif any(example.tokens for example in examples):
        said += (
            " Below each text stand the words as the vectorizer cuts them, with their ids; dashed "
            "and 'oov' means out of the vocabulary, struck out and 'cut' means beyond the length."
        )
    return chart(title, said, *map(_card, examples))


def _card(example: Example) -> Element:
    truth = f", labelled '{shown(example.truth, _LABEL_CHARACTERS)}'" if example.truth else ""
    return element(
        "article",
        element("h3", f"Row {example.row:,}{truth}"),
        _text(example.text),
        _tokens(example.tokens),
        _answers(example),
        class_="example",
    )


def _text(text: str | None) -> Element | None:
    if text is None:
        return None
    if not text.strip():
        text = f"{text} (blank)"
    return element("blockquote", shown(text, TEXT_CHARACTERS), dir="auto")


def _tokens(tokens: Sequence[Token]) -> Element | None:
    if not tokens:
        return None
    items = [_token(token) for token in tokens[:TOKENS]]
    if len(tokens) > TOKENS:
        items.append(element("li", f"… and {len(tokens) - TOKENS:,} more"))
    return element("ul", *items, class_="tokens", dir="auto")


def _token(token: Token) -> Element:
    words = [{"unknown": "oov", "cut": "cut"}.get(token.kind, "")]
    words.append("no id" if token.id is None else str(token.id))
    text = element("bdi", shown(token.text, _TOKEN_CHARACTERS))
    return element(
        "li", text, element("small", f" {' '.join(filter(None, words))}"), class_=token.kind
    )


def _answers(example: Example) -> Element:
    has_labels = any(answer.label for answer in example.answers)
    header = ["", f"score {shown(example.output, _LABEL_CHARACTERS)}".strip(), "difference"]
    header += ["decision"] if has_labels else []
    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", *(_header(text) for text in header))),
            element("tbody", *(_answer(answer, has_labels) for answer in example.answers)),
        ),
        class_="scores",
        tabindex="0",
        role="region",
        aria_label=f"scores of row {example.row:,}",
    )


def _header(text: str) -> Element:
    return element("th", text, scope="col") if text else element("td")


def _answer(answer: Answer, has_labels: bool) -> Element:
    difference = "" if answer.name == "oracle" else _signed(answer.difference)
    cells = [
        element("th", answer.name, scope="row"),
        element(
            "td",
            f"{answer.score:.4f}" if abs(answer.score) < 1e4 else write_figure(answer.score),
            class_="number",
        ),
        element("td", difference, class_="number"),
    ]
    if has_labels:
        label = element("bdi", shown(answer.label, _LABEL_CHARACTERS))
        flip = element("b", " ✗ flip", class_="flip") if answer.is_flip else None
        cells.append(element("td", label, flip))
    return element("tr", *cells)


def _signed(value: float) -> str:
    return f"{value:+.3g}" if math.isfinite(value) else str(value)
