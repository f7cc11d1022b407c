"""The report: one page that needs nothing beside it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lib.storage.atomic import write_text


@dataclass(frozen=True)
class Measure:
    """A column of a table of the report.

    Attributes:
        key: in `metrics.json`.
        title: of the column.
        meaning: a sentence.
        better: `low` or `high`; empty where neither is.
        is_percent: whether it is shown as percent.
    """

    key: str
    title: str
    meaning: str
    better: str = "low"
    is_percent: bool = True


HEATMAP_MEASURES = (
    Measure(
        "ece",
        "ECE",
        "How far the probabilities are from what is labelled, on average over the voxels that any member marks: "
        "at 3 %, of the voxels shown at 70 % between 67 and 73 % are labelled, typically.",
    ),
    Measure("ace", "ACE", "The same, with rare probabilities counting as much as frequent ones."),
    Measure("mce", "MCE", "The same for the probability that is furthest off, often one that few voxels have."),
    Measure(
        "brier",
        "Brier",
        "Mean squared distance of the probability from the label: low where probabilities are both right and decided.",
    ),
    Measure(
        "union_sensitivity",
        "Union sensitivity",
        "Share of the labelled voxels that at least one member finds; what no member finds cannot be in the heatmap.",
        better="high",
    ),
    Measure(
        "intersection_precision",
        "Intersection precision",
        "Share of the voxels marked by every member that are labelled: how sure unanimity is.",
        better="high",
    ),
)

ESTIMATE_MEASURES = (
    Measure("mae", "MAE", "By how many points the estimated DSC misses the true one, on average."),
    Measure("rmse", "RMSE", "The same with large misses weighing more."),
    Measure(
        "bias", "Bias", "Estimate minus truth, on average: above 0 the model is taken for better than it is.", better=""
    ),
    Measure(
        "pearson",
        "Pearson",
        "Correlation of estimated and true DSC: 1 is a straight line, 0 nothing.",
        better="high",
        is_percent=False,
    ),
    Measure(
        "spearman",
        "Spearman",
        "Correlation of their ranks: whether the worst scans come first in the queue.",
        better="high",
        is_percent=False,
    ),
    Measure(
        "aurc",
        "AURC",
        "Mean of 1 - DSC over the most trusted scans, however many of them are trusted: low where trust goes to "
        "the right scans.",
    ),
    Measure(
        "interval_coverage",
        "Interval coverage",
        "How often the interval around the estimate holds the true DSC; 90 % is promised for scans like the "
        "labelled ones, predicted by the networks of one fold.",
        better="",
    ),
)


def write_report(path: Path, metrics: Mapping[str, Any], figures: Mapping[str, Path]) -> None:
    """Write the report as one HTML file with its figures inside.

    Args:
        path: of the report.
        metrics: as in `metrics.json`.
        figures: PNG files by the names that the template knows.

    Raises:
        StorageError: the file cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("apps.calibrated_ensemble", "reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "number": _number, "verdict": verdict}
    page = environment.get_template("report.html.jinja").render(
        metrics=metrics,
        heatmap_measures=HEATMAP_MEASURES,
        estimate_measures=ESTIMATE_MEASURES,
        figures={
            name: f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"
            for name, file in figures.items()
        },
    )
    write_text(path, page)


def _percent(figure: Mapping[str, float | None]) -> str:
    return _shown({key: None if value is None else 100 * value for key, value in figure.items()}, digits=1)


def _number(figure: Mapping[str, float | None]) -> str:
    return _shown(figure, digits=2)


def _shown(figure: Mapping[str, float | None], *, digits: int) -> str:
    """Such as `3.1 (2.5 to 3.9)`; the value alone where there is no interval, and a dash where there is no value."""
    if figure["value"] is None:
        return "-"
    if figure["low"] is None or figure["high"] is None:
        return f"{figure['value']:.{digits}f}"
    return f"{figure['value']:.{digits}f} ({figure['low']:.{digits}f} to {figure['high']:.{digits}f})"


def verdict(difference: Mapping[str, float | None], better: str) -> str:
    """Whether a difference is `better` or `worse` than 0 in its whole interval, else empty."""
    low, high = difference["low"], difference["high"]
    if not better or low is None or high is None or low <= 0 <= high:
        return ""
    return "better" if (low > 0) == (better == "high") else "worse"
