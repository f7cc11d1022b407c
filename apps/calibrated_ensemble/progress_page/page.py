"""The page: figures as charts with the same figures as tables beneath them."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from apps.calibrated_ensemble.progress_page.charts import Point, bar_chart, line_chart
from lib.publication.listing import Standing

_ENVIRONMENT = Environment(
    loader=PackageLoader("apps.calibrated_ensemble.progress_page", "."), autoescape=True, undefined=StrictUndefined
)


def render_page(figures: Mapping[str, Any], *, viewer: str) -> str:
    """Give the page as HTML, without scripts and without anything from elsewhere.

    Args:
        figures: from `progress_figures`.
        viewer: path under which studies are opened.
    """
    generations = figures["generations"]
    days = Counter[str]()
    for row in figures["labels"]:
        days[row["day"]] += row["labels"]
    errors = [row["calibration_error"] for row in generations if row["calibration_error"] is not None]
    charts = {
        "dice": line_chart(
            [Point(row["id"], row["mean_dice"], row["standing"] != Standing.HELD_BACK) for row in generations],
            title="Cross-validated DSC of each generation, oldest first",
        ),
        "calibration_error": line_chart(
            [Point(row["id"], row["calibration_error"], row["standing"] != Standing.HELD_BACK) for row in generations],
            title="Calibration error of each generation, oldest first",
            top=max([*errors, 0.05]),
        ),
        "expected": line_chart(
            [Point(row["id"], row["expected_dice"]) for row in generations],
            title="Mean estimated DSC of the scans that are left, by generation",
        ),
        "estimates": bar_chart(
            [
                (f"{100 * one['from']:.0f} to {100 * one['to']:.0f} %", one["scans"])
                for one in figures["estimates"]["bins"]
            ],
            title="Scans that are left by their estimated DSC",
        ),
        "labels": bar_chart(sorted(days.items()), title="Labels a day"),
    }
    training = figures["training"]
    left = None
    if training is not None and training["seconds_left"] is not None:
        left = str(timedelta(seconds=round(training["seconds_left"])))
    return _ENVIRONMENT.get_template("progress.html.jinja").render(
        figures=figures, charts=charts, percent=_percent, time_left=left, link=lambda scan: _link(viewer, scan)
    )


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def _link(viewer: str, scan: Mapping[str, Any]) -> str:
    # A scan of a PACS bears the UID of its series.
    return f"{viewer}?{urlencode({'StudyInstanceUIDs': scan['study'], 'SeriesInstanceUIDs': scan['scan']})}"
