"""Pictures stand where the figures say."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring

import pytest

from gate.report import charts, trends
from gate.report.record import Histogram, ResponseTime, StepRecord, StepStatus, Undo
from tests.report import samples
from tests.report.shop import START, after


def parsed(svg: str) -> Element:
    return fromstring(svg)  # noqa: S314 - we made it ourselves


def by_class(svg: str, kind: str) -> list[Element]:
    return [element for element in parsed(svg).iter() if kind in element.get("class", "").split()]


def number(element: Element, name: str) -> float:
    return float(element.attrib[name])


def test_a_step_stands_at_its_time_and_its_undo_at_its_own() -> None:
    step = StepRecord("start", StepStatus.UNDONE, after(20), 10.0, undo=Undo(5.0, started_at=after(60)))
    svg = charts.step_bar(step, START, 100.0, after(50))
    (bar,), (undo,), (decided,) = by_class(svg, "undone"), by_class(svg, "undo"), by_class(svg, "decided")
    assert (number(bar, "x"), number(bar, "width")) == (200, 100)
    assert (number(undo, "x"), number(undo, "width")) == (600, 50)
    assert number(decided, "x1") == 500


def test_an_undo_that_failed_is_drawn_as_a_failure() -> None:
    step = StepRecord("migrate", StepStatus.FAILED, after(20), 10.0, undo=Undo(5.0, "", False, after(60)))
    assert len(by_class(charts.step_bar(step, START, 100.0, None), "failed")) == 2


@pytest.mark.parametrize("total", [0.0, 0.001, 1e6])
def test_a_bar_is_never_outside_nor_invisible(total: float) -> None:
    step = StepRecord("lock", StepStatus.DONE, after(total), 0.0)
    (bar,) = by_class(charts.step_bar(step, START, total, None), "bar")
    assert number(bar, "width") >= 5
    assert 0 <= number(bar, "x") <= 1000 - number(bar, "width")


def test_a_decade_is_a_quarter_of_the_default_axis() -> None:
    axis = charts.LogAxis.over([])
    assert [axis.at(value) for value in (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 99.0)] == pytest.approx(
        [0, 0, 0.25, 0.5, 0.75, 1, 1]
    )
    assert [name for _, name in axis.ticks()] == ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]


def test_the_axis_grows_with_what_is_on_it() -> None:
    axis = charts.LogAxis.over([0.0004, 42.0, 0.0])
    assert (axis.low, axis.high) == pytest.approx((0.0001, 100.0))


def test_quantiles_limits_and_histogram_stand_on_the_axis() -> None:
    row = ResponseTime("front", "GET /", 10, 0.01, 0.1, Histogram((0.01, 0.1), (2, 8, 0)))
    svg = charts.response_bar(row, charts.LogAxis.over([]), [("go", 1.0), ("rollback", 10.0)])
    assert number(by_class(svg, "p50")[0], "x1") == 250
    assert number(by_class(svg, "p95")[0], "x1") == 500
    assert [number(line, "x1") for line in by_class(svg, "limit")] == [750, 1000]
    low, high = by_class(svg, "histogram")
    assert number(low, "height") * 4 == pytest.approx(number(high, "height"))


def test_a_histogram_with_counts_to_spare_is_refused() -> None:
    with pytest.raises(ValueError, match="one count more"):
        Histogram((1.0,), (1,))


def test_a_line_reaches_from_edge_to_edge_and_below_its_limit() -> None:
    line = charts.Line("web", ((5.0, 0.0), (10.0, 50.0), (15.0, 100.0)), "accent")
    svg = charts.line_chart("cpu", [line], show=str, limits=[charts.Mark(200.0, "limit", "hard")])
    (drawn,), (limit,) = by_class(svg, "line"), by_class(svg, "hard")
    points = [tuple(map(float, point.split(","))) for point in drawn.attrib["points"].split()]
    heights = [y for _, y in points]
    assert points[1][0] == pytest.approx((points[0][0] + points[2][0]) / 2)
    assert heights == sorted(heights, reverse=True)
    assert number(limit, "y1") < min(heights)


def test_one_sample_is_a_dot_and_nothing_measured_is_a_flat_axis() -> None:
    svg = charts.line_chart("cpu", [charts.Line("web", ((5.0, 0.0),), "accent")], show=str)
    assert by_class(svg, "dot")


def test_a_picture_says_in_words_what_it_shows() -> None:
    svg = charts.line_chart('cpu <of> "web"', [charts.Line("web", ((0.0, 1.0),), "accent")], show=str)
    assert parsed(svg).attrib["aria-label"] == 'cpu <of> "web"'


def test_usage_is_drawn_against_the_limit_and_the_rules() -> None:
    cpu, memory = trends.usage(samples.released())
    assert cpu.name == "web: cpu, in cores"
    assert memory.note == "highest 102 MB"
    names = [name for _, name in memory.legend]
    assert names == ["candidate", "front", "limit, 512 MB", "go limit, 70%", "rollback limit, 90%"]


def test_traffic_marks_each_switch_and_keeps_the_earlier_release_in_the_background() -> None:
    requests, errors, p95 = trends.traffic(samples.released())
    assert [chart.name for chart in (requests, errors, p95)] == ["requests", "errors", "p95"]
    assert requests.legend == (("soft", "1.0.0"), ("accent", "1.1.0"))
    assert len(by_class(requests.picture, "moment")) == 1
    assert errors.note == "highest 0 %"


def test_nothing_measured_makes_no_chart() -> None:
    assert trends.usage(samples.refused()) == []
    assert trends.traffic(samples.refused()) == []
    assert trends.traffic(samples.first_deployment()) == []
