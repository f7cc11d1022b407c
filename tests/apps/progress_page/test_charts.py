"""Charts whose marks bear their values."""

import xml.etree.ElementTree as ET

import pytest

from apps.calibrated_ensemble.progress_page.charts import HEIGHT, WIDTH, Point, bar_chart, line_chart


def marks(svg: str, kind: str) -> list[ET.Element]:
    return [element for element in ET.fromstring(svg).iter() if element.tag == kind and "data-value" in element.attrib]


def test_higher_values_lie_higher_and_gaps_are_left_out() -> None:
    points = [Point("first", 0.2), Point("second", None), Point("third", 0.9, filled=False), Point("fourth", 1.0)]
    circles = marks(line_chart(points, title="DSC"), "circle")
    assert [float(one.attrib["data-value"]) for one in circles] == [0.2, 0.9, 1.0]
    heights = [float(one.attrib["cy"]) for one in circles]
    assert heights == sorted(heights, reverse=True)
    assert (heights[0] - heights[1]) / (heights[1] - heights[2]) == pytest.approx(7, rel=0.02)
    assert [one.attrib["class"] for one in circles] == ["mark", "mark hollow", "mark"]
    assert all(0 <= float(one.attrib["cx"]) <= WIDTH and 0 <= float(one.attrib["cy"]) <= HEIGHT for one in circles)


def test_bars_are_as_high_as_their_values() -> None:
    bars = marks(bar_chart([("0 to 5 %", 0), ("5 to 10 %", 2), ("10 to 15 %", 8)], title="Scans"), "rect")
    heights = [float(one.attrib["height"]) for one in bars]
    assert heights[0] == 0
    assert heights[2] == pytest.approx(4 * heights[1], rel=0.01)


def test_names_cannot_leave_their_place() -> None:
    svg = line_chart([Point('<script>"x"</script>', 0.5)], title='"><script>')
    assert "<script>" not in svg
    assert ET.fromstring(svg).attrib["aria-label"] == '"><script>'


def test_nothing_to_draw_is_drawn() -> None:
    assert marks(line_chart([], title="DSC"), "circle") == []
    assert marks(bar_chart([], title="Labels"), "rect") == []
