"""The HTML report: one file, no script, nothing fetched; the verdict first.

Not the pictures (`charts`) and not the figures (`rows`, `examples`): what comes after what.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gatelet.convert.parity import ParityReport
from gatelet.convert.parity.decisions import meant, rule_of_rows
from gatelet.convert.parity.measured import Measured
from gatelet.convert.report.cards import cards
from gatelet.convert.report.charts.axes import chart
from gatelet.convert.report.charts.devices import devices
from gatelet.convert.report.charts.files import files_table
from gatelet.convert.report.charts.histogram import histogram
from gatelet.convert.report.charts.latency import latency
from gatelet.convert.report.charts.reliability import reliability
from gatelet.convert.report.charts.scatter import scatter
from gatelet.convert.report.charts.treemap import LayerBytes, sizes
from gatelet.convert.report.elements import Element, element, html_text, shown
from gatelet.convert.report.examples import worst_examples
from gatelet.convert.report.figures import MARKS
from gatelet.convert.report.files import files_judged
from gatelet.convert.report.matrix import findings, matrix
from gatelet.convert.report.quality import blame, quality
from gatelet.convert.report.rows import pairs, probabilities
from gatelet.convert.report.style import STYLE
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.bundle.sizes import sizes_of
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import DTYPE_BYTES

SCORE_LIMIT = "scores_atol"
"""The check whose limit is drawn into the histogram: others are in units of the spread."""

_BANNERS = {
    "pass": "What is shipped predicts what was trained",
    "fail": "What is shipped does not predict what was trained",
    "undecided": "There is too little data to say",
    "not run": "Nothing could be run here",
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_NAME_CHARACTERS = 120
_VALUE_CHARACTERS = 300


@dataclass(frozen=True)
class Story:
    """What a page tells.

    Args:
        bundle: The opened bundle.
        report: The verdicts.
        measured: The rows; None where none were kept.
        latencies_us: Microseconds of each call, by (target, scheme).
        data: What the rows are called.
        made: When, and by what.
        with_texts: False leaves out texts, words and ids.
    """

    bundle: Bundle
    report: ParityReport
    measured: Measured | None
    latencies_us: Mapping[tuple[str, str], Sequence[float]] = field(default_factory=dict)
    data: str = ""
    made: str = ""
    with_texts: bool = True


def page(story: Story) -> str:
    """Write the page."""
    name = shown(story.bundle.name, _NAME_CHARACTERS)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("link", rel="icon", href="data:,"),
        element("title", f"{MARKS[story.report.verdict]} {story.report.verdict}: parity of {name}"),
        element("style", STYLE),
    )
    sections = list(_sections(story))
    body = element(
        "body",
        element("header", element("h1", f"Parity of {name}"), _banner(story), _links(sections)),
        element("main", *sections),
        element("footer", f"{story.made} This file fetches nothing and runs nothing."),
    )
    return html_text(element("html", head, body, lang="en"))


def _banner(story: Story) -> Element:
    report = story.report
    counts = {v: sum(one.verdict == v for one in report.artifacts) for v in MARKS}
    written = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    against = " and ".join(report.oracles)
    of = f" of {shown(story.data, _NAME_CHARACTERS)}" if story.data else ""
    if report.made_up:
        of = ", made up: give --data to learn what a rounded scheme costs on yours"
    return element(
        "div",
        element("strong", f"{MARKS[report.verdict]} {report.verdict}"),
        element(
            "span",
            f"{_BANNERS[report.verdict]}. {len(report.artifacts)} artifacts ({written}) over "
            f"{report.rows:,} rows{of}, against {against}.",
        ),
        *(element("span", f" Warning: {shown(one, _VALUE_CHARACTERS)}") for one in report.warnings),
        *(element("span", f" Note: {shown(note, _VALUE_CHARACTERS)}") for note in report.notes),
        class_=f"banner {report.verdict.replace(' ', '-')}",
    )


def _links(sections: Sequence[Element]) -> Element:
    titles = [section[0] for section in sections]
    items = (
        element("li", element("a", title.text, href=f"#{title.get('id')}")) for title in titles
    )
    return element("nav", element("ul", *items), aria_label="sections")


def _sections(story: Story) -> Iterator[Element]:
    found = findings(story.report)
    if found:
        items = (element("li", f"{MARKS[verdict]} {verdict}: {said}") for verdict, said in found)
        yield chart(
            "What did not pass",
            "Fails first; the matrix below has every check.",
            element("ul", *items, class_="findings"),
        )
    to_blame = blame(story.report)
    if to_blame is not None:
        yield to_blame
    yield chart(
        "Checks",
        "A row a check, a column an artifact. Each cell has the verdict, what was measured, and "
        "the most that passes. Two questions are asked. Does the file compute what its scheme "
        "says? A miss always fails. And what does the scheme cost on these rows? Figures of "
        "quality decide where the rows have labels, else changed decisions, else differences; "
        "over made-up rows they are estimates, and fail nothing. What is shown decides nothing. "
        "Differences are in units of the spread: the standard deviation of that output.",
        matrix(story.report),
    )
    if story.report.files:
        yield chart(
            "Files",
            "A row a file of the bundle: what was found of exactly these bytes, by what. A file "
            "that was not run here may be right or wrong.",
            files_judged(story.report),
        )
    yield quality(story.report)
    yield from _charts(story)
    yield _provenance(story.bundle)


def _charts(story: Story) -> Iterator[Element]:
    bundle, measured = story.bundle, story.measured
    if measured is None or not measured.scores:
        yield chart("Scores against the oracle", "Left out: no artifact has scores here.")
    else:
        found = list(pairs(measured))
        yield scatter(found)
        yield histogram(found, _limits(story.report))
        yield reliability(
            probabilities(_meant(bundle, measured), bundle.labels), labels=bundle.labels
        )
    files = [(f"{a.target} {a.scheme}", a.bytes) for a in bundle.artifacts]
    yield sizes(layers(bundle.graph()), files, files_table(sizes_of(bundle)))
    on_devices = devices(bundle)
    if on_devices is not None:
        yield on_devices
    yield latency({f"{t} {s}": taken for (t, s), taken in story.latencies_us.items()})
    if measured is not None and measured.scores:
        examples = worst_examples(bundle, measured, with_texts=story.with_texts)
        yield cards(examples, with_texts=story.with_texts)


def _meant(bundle: Bundle, measured: Measured) -> Measured:
    """Return scores after the activation that makes them of logits."""
    if rule_of_rows(bundle) is None:
        return measured
    scores = {key: meant(bundle, one)[0] for key, one in measured.scores.items()}
    return replace(measured, oracle=meant(bundle, measured.oracle)[0], scores=scores)


def _limits(report: ParityReport) -> dict[str, float]:
    return {
        f"{one.target} {one.scheme}": check.limit
        for one in report.artifacts
        for check in one.checks
        if check.name == SCORE_LIMIT and check.limit is not None
    }


def layers(graph: Graph) -> list[LayerBytes]:
    """Return the bytes of each layer's weights; a tensor that two share counts once."""
    counted: set[str] = set()
    found: dict[tuple[str, str], int] = {}
    for node in graph.nodes:
        fresh = set(node.weights.values()) - counted
        counted |= fresh
        count = sum(_float32_bytes(graph.weights[name]) for name in fresh)
        if count:
            key = (shown(node.source or node.name, 40), node.op)
            found[key] = found.get(key, 0) + count
    return [LayerBytes(name, op, count) for (name, op), count in found.items()]


def _float32_bytes(tensor: Any) -> int:
    return len(tensor.data) // DTYPE_BYTES[tensor.dtype] * DTYPE_BYTES["F32"]


def _provenance(bundle: Bundle) -> Element:
    rows = (
        element("tr", element("th", shown(key, 80), scope="row"), element("td", value))
        for key, value in _flat(bundle.manifest.get("provenance") or {})
    )
    return chart(
        "Where it comes from",
        "What the bundle says of its making: versions, data and training.",
        element(
            "details",
            element("summary", "Provenance"),
            element(
                "div",
                element("table", element("tbody", *rows)),
                class_="wide",
                tabindex="0",
                role="region",
                aria_label="provenance",
            ),
        ),
    )


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif value is not None:
        yield path, shown(str(value), _VALUE_CHARACTERS)
