"""The HTML report: what it says, that it needs nothing else, and that no text can break it."""

import re
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.parity import Check
from gatelet.convert.parity.files.verdict import Finding, Run, not_run
from gatelet.convert.report import Story, page
from gatelet.convert.report.figures import describe
from gatelet.convert.report.page import layers
from gatelet.convert.report.style import STYLE
from gatelet.runtime.bundle.sizes import sizes_of
from tests.convert.report.conftest import HOSTILE, Page, TellStory, on_devices

MAX_BYTES = 500_000
CHARTS = (
    "Checks",
    "Files",
    "Quality on labelled rows",
    "Scores against the oracle",
    "Differences from the oracle",
    "Reliability",
    "Size",
    "Latency",
    "Worst examples",
    "Where it comes from",
)


def _failed(story: Story, **changes: Any) -> Story:
    """Change the check scores_max of the first artifact."""
    first, *others = story.report.artifacts
    checks = tuple(replace(c, **changes) if c.name == "scores_max" else c for c in first.checks)
    artifacts = (replace(first, checks=checks), *others)
    return replace(story, report=replace(story.report, artifacts=artifacts))


def test_the_verdict_comes_before_anything_else(judged: Story) -> None:
    shown = Page(page(judged)).shown.split(STYLE)[1]
    assert shown.startswith(f"Parity of small✓ pass{'What is shipped predicts'}")
    assert "2 artifacts (2 pass) over 1,200 rows of rows.csv, against graph" in shown
    assert "What did not pass" not in shown


def test_a_failed_check_is_said_first_and_marked_by_more_than_colour(judged: Story) -> None:
    text = page(_failed(judged, figure=0.25, limit=0.01, verdict="fail"))
    shown = Page(text).shown
    assert "✗ fail: onnx float32: scores_max is 0.25, the limit is 0.01 (spread)" in shown
    assert shown.index("What did not pass") < shown.index("Checks")
    assert '<td class="fail"><b>✗ fail</b><small>0.25, limit 0.01 spread</small>' in text
    assert "<title>✗ fail: parity of small</title>" in text


def test_the_matrix_has_a_cell_for_each_check_of_each_artifact(judged: Story) -> None:
    text = page(judged)
    for one in judged.report.artifacts:
        assert f"{one.target} {one.scheme}" in text
        for check in one.checks:
            assert f'<th scope="row">{check.name}<' in text
    names = {check.name for one in judged.report.artifacts for check in one.checks}
    start = text.index('<table class="matrix">')
    matrix = text[start : text.index("</table>", start)]
    assert len(re.findall("<tr>", matrix)) == 2 + len(names)  # the header, and the verdict
    assert len(re.findall(r"<td class=\"(pass|shown)\"", matrix)) == 2 + sum(
        len(one.checks) for one in judged.report.artifacts
    )


def test_an_artifact_that_was_not_run_says_why(judged: Story) -> None:
    first, second = judged.report.artifacts
    missing = replace(second, checks=(), note="the onnx backend is <not> installed")
    report = replace(judged.report, artifacts=(first, missing))
    shown = Page(page(replace(judged, report=report))).shown
    assert "○ not run: onnx dynamic-int8: the onnx backend is <not> installed" in shown
    assert "(1 not run, 1 pass)" in shown


def test_what_is_to_blame_and_what_was_noted_is_said(judged: Story) -> None:
    first, second = judged.report.artifacts
    checks = (
        Check("flips", 0.02, 0.01, "fail", "share of rows", (0.015, 0.025), "20 of 1,000"),
        Check("weights", None, 0.5, "not checked", "steps", note="<no> tensors"),
    )
    blamed = replace(first, checks=checks, diagnosis=("it is 'lstm' <b>",), threshold=0.61)
    report = replace(judged.report, artifacts=(blamed, second), notes=("another <i> language",))
    shown = Page(page(replace(judged, report=report))).shown
    assert "flips is 2 %, the limit is 1 % (share of rows); 95 %: 1.5 % to 2.5 %; 20 of" in shown
    assert "· not checked: onnx float32: weights was not checked; <no> tensors" in shown
    assert "it is 'lstm' <b>" in shown
    assert "the threshold 0.6100 makes the most labels right; it is not applied" in shown
    assert "Note: another <i> language" in shown
    assert "What is to blame" not in Page(page(judged)).shown


def test_the_figures_of_quality_are_those_of_the_report(judged: Story) -> None:
    text = page(judged)
    assert set(judged.report.quality) >= {"accuracy", "roc_auc", "ece"}
    accuracy = judged.report.quality["accuracy"]
    assert f'accuracy</th><td class="number">{accuracy:.4g}</td>' in text
    error = judged.report.artifacts[0].quality["ece"]
    assert f"expected calibration error {error:.3g}, the oracle's" in text


def test_an_artifact_that_two_engines_ran_is_named_by_the_engine(judged: Story) -> None:
    first, _ = judged.report.artifacts
    report = replace(judged.report, artifacts=(first, replace(first, engine="other 2")))
    shown = Page(page(replace(judged, report=report))).shown
    assert f"onnx float32 in {first.engine}" in shown and "onnx float32 in other 2" in shown


def test_every_check_has_its_explanation(judged: Story) -> None:
    names = {check.name for one in judged.report.artifacts for check in one.checks}
    assert len(names) > 20
    assert [name for name in names if not describe(name)] == []


def test_a_check_of_another_version_is_shown_by_its_name(judged: Story) -> None:
    first, second = judged.report.artifacts
    odd = replace(first, checks=(*first.checks, Check("gc3p0", None, 0.1, "undecided", "steps")))
    report = replace(judged.report, artifacts=(odd, second))
    shown = Page(page(replace(judged, report=report))).shown
    assert "gc3p0 is -, the limit is 0.1 (steps)" in shown


def test_every_file_has_a_row_and_failed_ones_are_said_first(judged: Story) -> None:
    assert judged.report.files
    first, second, *others = judged.report.files
    wrong = Finding("fail", "run", "it is <b>wrong</b>", (Run("c", "1", "m", "v3"),))
    files = (
        *others,
        replace(second, finding=not_run("there is no <emulator>")),
        replace(first, finding=wrong),
    )
    story = replace(judged, report=replace(judged.report, files=files))
    text = page(story)
    shown = Page(text).shown
    assert f"✗ fail: the file '{first.path}' ({first.what}): fail; it is <b>wrong</b>" in shown
    table = text[text.index('id="files"') :]
    rows = re.findall(r'<tr><th scope="row">([^<]*)</th>.*?class="([a-z-]*)"', table)
    expected = [(first.path, "fail"), (second.path, "not-run")]
    assert rows[: len(files)] == expected + [(one.path, one.verdict) for one in others]
    assert "c 1, m level v3" in shown and "there is no <emulator>" in shown
    assert f"1 fail, 1 not run, {len(others)} pass" in shown


def test_every_chart_has_a_title_a_sentence_and_titled_axes(judged: Story) -> None:
    text = page(judged)
    found = re.findall(
        r'<section aria-labelledby="[^"]+"><h2[^>]*>([^<]+)</h2><p>([^<]+)</p>', text
    )
    assert [title for title, _ in found] == list(CHARTS)
    assert all(len(sentence) > 30 for _, sentence in found)
    for svg in re.findall(r"<svg [^>]*role=.*?</svg>", text, re.S):
        titles = re.findall(r'class="axis-title"', svg)
        assert titles or "treemap" in svg
        assert 'aria-label="' in svg


def test_the_page_fetches_and_runs_nothing(judged: Story) -> None:
    read = Page(page(judged))
    assert not {"script", "img", "iframe", "object", "form", "base"} & {t for t, _ in read.tags}
    for _, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action", "xlink:href"):
            value = attributes.get(name)
            assert value in (None, "data:,") or str(value).startswith("#")
    assert "url(" not in STYLE and "@import" not in STYLE
    policies = [a["content"] for t, a in read.tags if "http-equiv" in a and t == "meta"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]


def test_every_link_leads_to_a_section(judged: Story) -> None:
    read = Page(page(judged))
    targets = {attributes.get("id") for _, attributes in read.tags}
    links = [str(attributes["href"])[1:] for tag, attributes in read.tags if tag == "a"]
    assert len(links) == len(CHARTS) and set(links) <= targets


def test_hostile_texts_stay_text(tell: TellStory) -> None:
    plain, hostile = Page(page(tell())), page(tell(texts=HOSTILE))
    read = Page(hostile)
    assert len(hostile.encode()) < MAX_BYTES
    assert {tag for tag, _ in read.tags} <= {tag for tag, _ in plain.tags}
    assert "<script>alert(1)</script>" in read.shown
    assert '"><svg onload=alert(3)>&amp;&lt;' in read.shown
    for character in "\0\a\x1b\u202e\u2066\u2069\ufeff\ud800\udfff\uffff":
        assert character not in hostile
    for written in (r"\x00", r"\x1b", r"\u202e", r"\ud800", r"\uffff", r"\r\n\t"):
        assert written in read.shown
    assert "and 99,602 more characters" in read.shown
    assert "(blank)" in read.shown


def test_hostile_names_stay_text(judged: Story) -> None:
    bundle = replace(
        judged.bundle,
        name=HOSTILE[0],
        labels=(HOSTILE[1], HOSTILE[2]),
        manifest={**judged.bundle.manifest, "provenance": {HOSTILE[0]: [HOSTILE[3], HOSTILE[4]]}},
    )
    story = replace(judged, bundle=bundle, data=HOSTILE[1], made=HOSTILE[4])
    text = page(story)
    text.encode()  # there is no lone surrogate
    assert {tag for tag, _ in Page(text).tags} <= {tag for tag, _ in Page(page(judged)).tags}


def test_texts_words_and_ids_are_left_out_when_asked(tell: TellStory) -> None:
    texts = tuple(f"secret{i} w7" for i in range(1_200))
    assert "secret1" in page(tell(texts=texts)) and "oov" in page(tell(texts=texts))
    text = page(replace(tell(texts=texts), with_texts=False))
    assert "secret" not in text
    assert 'class="tokens"' not in text
    assert "Texts, words and ids are left out, as was asked." in text
    assert "Row " in text


def test_many_rows_make_a_small_page(tell: TellStory) -> None:
    rng = np.random.default_rng(3)
    oracle = rng.uniform(size=(25_000, 1))
    noisy = np.clip(oracle + rng.normal(scale=0.1, size=oracle.shape), 0, 1)
    truth = (rng.uniform(size=25_000) < oracle[:, 0]).astype(int)
    story = tell(oracle=oracle, scores=noisy, truth=truth)
    text = page(story)
    assert len(text.encode()) < MAX_BYTES
    assert "25,000 scores" in text


SHAPES = {
    "classes": np.random.default_rng(1).dirichlet(np.ones(4), size=50),
    "regression": np.random.default_rng(2).normal(size=(50, 1)) * 1e4,
    "several outputs": np.random.default_rng(3).normal(size=(50, 7)),
    "a sequence": np.random.default_rng(4).uniform(size=(50, 9, 3)),
    "one row": np.array([[0.25]]),
    "constant": np.full((50, 1), 0.5),
    "not finite": np.array([[np.nan], [np.inf], [0.5]]),
    "nothing finite": np.array([[np.nan], [np.nan]]),
    "huge": np.array([[1e38], [-1e38], [3.0]]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_kind_of_output_has_its_page(tell: TellStory, name: str) -> None:
    oracle = SHAPES[name]
    labels = tuple("abcd") if name == "classes" else ()
    with np.errstate(invalid="ignore"):
        found = oracle * 1.01 + 0.001
    bundle = replace(tell().bundle, labels=labels)
    truth = np.arange(50) % 4 if name == "classes" else None
    text = page(tell(oracle=oracle, scores=found, truth=truth, bundle=bundle))
    assert len(text.encode()) < MAX_BYTES
    assert not re.search(r'[a-z]="(-?inf|nan)"', text)
    assert ("Left out: the model has no labels" in text) == (name != "classes")


def test_scores_of_another_shape_are_said_not_drawn(tell: TellStory) -> None:
    oracle = np.random.default_rng(1).uniform(size=(20, 1))
    text = page(tell(oracle=oracle, scores=np.zeros((20, 3))))
    assert "its scores have the shape [20, 3], the oracle's [20, 1]" in text


def test_without_rows_the_charts_are_left_out_and_the_rest_stays(judged: Story) -> None:
    shown = Page(page(replace(judged, measured=None, latencies_us={}))).shown
    assert "Left out: no artifact has scores here." in shown
    assert "Left out: the bundle has no golden vectors" in shown
    assert "Embeddings hold " in shown


def test_the_share_of_the_embedding_is_that_of_the_weights(judged: Story) -> None:
    weights = judged.bundle.graph().weights
    total = sum(len(tensor.data) for tensor in weights.values())
    share = 100 * len(weights["embedding.embeddings"].data) / total
    assert f"Embeddings hold {share:.3g} % of the weights" in page(judged)
    assert struct.calcsize("f") * judged.bundle.graph().parameters == total


def test_what_each_file_stores_of_each_layer_is_what_inspect_tells(judged: Story) -> None:
    found = sizes_of(judged.bundle)
    table = page(judged).split("<summary>Bytes by layer in each file</summary>")[1]
    rows = [
        re.findall(r"<t[hd][^>]*>([^<]*)<", row)
        for row in table.split("</table>")[0].split("<tr>")[1:]
    ]
    assert rows[0] == ["layer", "what", *(one.name for one in found)]
    assert rows[-1] == ["all", "", *(f"{one.bytes:,}" for one in found)]
    cells = {(row[0], row[1]): row[2:] for row in rows[1:-1]}
    for column, one in enumerate(found):
        for part in one.parts:
            assert cells[part.layer or "-", part.kind][column] == f"{part.bytes:,}"
    assert "-" in cells["-", "rest"]  # weights in float32 have none


def test_weights_that_layers_share_are_counted_once(judged: Story) -> None:
    graph = judged.bundle.graph()
    lstm = next(node for node in graph.nodes if node.op == "LSTM")
    twin = replace(lstm, name="twin", outputs=("twin",), source="other")
    shared = replace(graph, nodes=(*graph.nodes, twin))
    assert sum(layer.bytes for layer in layers(shared)) == 4 * graph.parameters


def test_devices_have_a_table_and_a_picture_of_what_they_count(judged: Story) -> None:
    assert 'id="devices"' not in page(judged)
    text = page(replace(judged, bundle=on_devices(judged.bundle)))
    found = Page(text)
    assert ("h2", {"id": "devices"}) in found.tags
    assert '<th scope="row">pico</th><td>onnx float32</td><td class="number">11,516</td>' in text
    assert '<td class="fail">fail</td>' in text and "of another source" not in found.shown
    lines = [line for line in re.findall(r">([^<>]+)</text>", text) if "onnx float32: " in line]
    assert lines == [
        "nano, onnx float32: 9,123",
        "mega-2560, onnx float32: 222,913 cycles",
        "pico, onnx float32: 222,913",
    ]
    section = text[text.index('<h2 id="devices">') :]
    section = section[: section.index("</section>")]
    widths = [float(one) for one in re.findall(r'<rect [^>]*width="([\d.]+)"', section)]
    assert len(widths) == 3 and 0 < widths[0] < widths[1] == widths[2]
    assert "<script>alert(1)" not in text
