"""The figures behind the charts, against figures made in another way."""

import re

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from gatelet.convert.report.charts.axes import counted, linear, logarithmic
from gatelet.convert.report.charts.histogram import histogram
from gatelet.convert.report.charts.reliability import (
    bins_of,
    expected_calibration_error,
    interval_of_share,
)
from gatelet.convert.report.charts.treemap import squarify
from gatelet.convert.report.elements import element, html_text, shown
from gatelet.convert.report.figures import write_bytes, write_figure, write_latency
from gatelet.convert.report.rows import Pair, Probabilities


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-3e-8, 3e-8), (1e6, 1e6 + 1), (-1e300, 1e300), (5, 5), (0, 0)]
)
def test_linear_ticks_are_few_rising_and_inside(low: float, high: float) -> None:
    scale = linear(low, high)
    assert scale.low <= low <= high <= scale.high
    assert 2 <= len(scale.ticks) <= 11
    assert list(scale.ticks) == sorted(set(scale.ticks))
    places = [scale.map(tick) for tick in scale.ticks]
    assert min(places) >= -1e-9 and max(places) <= 1 + 1e-9


@pytest.mark.parametrize(("low", "high"), [(70, 4000), (5, 5), (1, 1e9), (99, 101)])
def test_logarithmic_scales_hold_their_values(low: float, high: float) -> None:
    scale = logarithmic(low, high)
    assert 0 < scale.map(low) <= scale.map(high) < 1
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)
    assert len(scale.ticks) <= 12


def test_a_single_count_is_drawn_above_the_line() -> None:
    scale = counted(25_000)
    assert scale.map(0) == 0 < scale.map(1) < scale.map(2) < scale.map(25_000) == 1
    assert scale.ticks == (1, 10, 100, 1000, 10_000)


@pytest.mark.parametrize("values", [[5, 3, 2, 1, 1], [1000, 1], [1], [7] * 40, []])
def test_the_treemap_divides_the_whole_area_in_proportion(values: list[int]) -> None:
    boxes = squarify(values, (0, 0, 340, 220))
    assert len(boxes) == len(values)
    for value, (x, y, width, height) in zip(values, boxes, strict=True):
        assert width * height == pytest.approx(340 * 220 * value / sum(values))
        assert -1e-6 <= x <= x + width <= 340 + 1e-6
        assert -1e-6 <= y <= y + height <= 220 + 1e-6
    for i, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, other_width, other_height in boxes[i + 1 :]:
            across = min(x + width, other_x + other_width) - max(x, other_x)
            down = min(y + height, other_y + other_height) - max(y, other_y)
            assert min(across, down) <= 1e-6, "two boxes overlap"


def test_the_calibration_error_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(5)
    sure = rng.uniform(size=3000)
    right = rng.uniform(size=3000) < sure**2
    expected = 0.0
    for number in range(15):
        inside = (sure >= number / 15) & (sure < (number + 1) / 15)
        expected += inside.mean() * abs(sure[inside].mean() - right[inside].mean())
    bins = bins_of(Probabilities("a", sure, right))
    assert expected_calibration_error(bins) == pytest.approx(expected)
    assert sum(count for _, _, count in bins) == 3000
    assert bins_of(Probabilities("a", np.array([1.0]), np.array([True]))) == [(1.0, 1.0, 1)]


def test_the_histogram_counts_every_score_and_draws_a_near_limit_only() -> None:
    expected = np.linspace(0, 1, 1000)
    pair = Pair("onnx float32", expected, expected + 0.01 * np.sin(expected * 50))
    near = html_text(histogram([pair], {"onnx float32": 0.02}))
    far = html_text(histogram([pair], {"onnx float32": 0.5}))
    assert near.count('class="limit"') == 2 and "The limit is 0.02 (dashed)." in near
    assert far.count('class="limit"') == 0 and "The limit is 0.5, beyond this picture." in far
    assert len(re.findall('class="bar"', near)) > 10
    same = html_text(histogram([Pair("a b", expected, expected)], {}))
    assert "No difference at all." in same


def test_text_cannot_become_markup() -> None:
    made = element("p", "<b>&", element("i", "</p>"), "tail\0", class_='"x" & <y>')
    assert html_text(made) == (
        "<!doctype html>\n"
        '<p class="&quot;x&quot; &amp; <y&gt;">&lt;b&gt;&amp;<i>&lt;/p&gt;</i>tail\\x00</p>\n'
    )


def test_shown_keeps_letters_of_all_scripts() -> None:
    for text in ("房间很干净", "नमस्ते", "\u0645\u06cc\u200c\u062e", "👩\u200d🔬", "e\u0301"):
        assert shown(text, 100) == text
    assert shown("abcdef", 3) == "abc … and 3 more characters"


def test_figures_are_written_for_people() -> None:
    assert [write_figure(v) for v in (None, 0.0, 1e-7, 0.12345, 1234.0, float("inf"))] == [
        "-",
        "0",
        "1e-07",
        "0.123",
        "1,234",
        "inf",
    ]
    assert [write_bytes(v) for v in (12, 45_000, 2_755_436)] == ["12 bytes", "45 kB", "2.76 MB"]
    assert [write_latency(v) for v in (71.4, 4000, 2.5e6)] == ["71.4 µs", "4 ms", "2.5 s"]


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (3, 5), (5, 5), (17, 400), (1, 1)])
def test_the_interval_of_a_share_is_wilsons(hits: int, count: int) -> None:
    low, high = proportion_confint(hits, count, alpha=0.05, method="wilson")
    assert interval_of_share(hits / count, count) == pytest.approx((low, high), abs=1e-6)
