"""Charts as SVG that a page holds: marks are named by their values, for eyes and for screen readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

WIDTH, HEIGHT = 560, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 10, 26


@dataclass(frozen=True)
class Point:
    """One mark of a line.

    Attributes:
        label: what it is of, such as a generation.
        value: 0..`Line.top`; None leaves a gap.
        filled: a hollow mark stands apart without a colour.
    """

    label: str
    value: float | None
    filled: bool = True


def line_chart(points: Sequence[Point], *, title: str, top: float = 1.0) -> str:
    """Draw marks joined by a line, evenly from left to right.

    Args:
        points: in order.
        title: for screen readers.
        top: value of the upper edge; the lower is 0.
    """
    width = WIDTH - _LEFT - _RIGHT
    places = [
        (_LEFT + width * (index + 0.5) / max(1, len(points)), _height(point.value, top), point)
        for index, point in enumerate(points)
        if point.value is not None
    ]
    drawn = [f'<polyline class="line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)}"/>']
    for x, y, point in places:
        style = "mark" if point.filled else "mark hollow"
        text = f"{point.label}: {100 * (point.value or 0):.2f} %"
        drawn.append(
            f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="4" data-value={quoteattr(repr(point.value))}>'
            f"<title>{escape(text)}</title></circle>"
        )
    return _chart(title, drawn, top, unit=" %", scale=100)


def bar_chart(bars: Sequence[tuple[str, float]], *, title: str) -> str:
    """Draw bars from left to right.

    Args:
        bars: what each is of, and how much, at least 0.
        title: for screen readers.
    """
    top = max([value for _, value in bars] + [1])
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(bars))
    drawn = []
    for index, (label, value) in enumerate(bars):
        y = _height(value, top)
        drawn.append(
            f'<rect class="bar" x="{_LEFT + step * index + 1:.1f}" y="{y:.1f}" width="{max(1.0, step - 2):.1f}" '
            f'height="{HEIGHT - _BOTTOM - y:.1f}" data-value={quoteattr(repr(value))}>'
            f"<title>{escape(f'{label}: {value:g}')}</title></rect>"
        )
    return _chart(title, drawn, top, unit="", scale=1)


def _height(value: float | None, top: float) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - min(1.0, (value or 0.0) / top))


def _chart(title: str, drawn: Sequence[str], top: float, *, unit: str, scale: float) -> str:
    rules = []
    for share in (0.0, 0.5, 1.0):
        y = _height(share * top, top)
        rules.append(f'<line class="rule" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        rules.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{scale * share * top:g}{unit}</text>'
        )
    view = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label={quoteattr(title)}'
    return f"<svg {view}>{''.join([*rules, *drawn])}</svg>"
