"""What the report says of differences and of figures that are not there."""

import copy
from pathlib import Path

import pytest

from apps.calibrated_ensemble.reports.html_report import write_report
from tests.evaluated_studies import Judged


def figure(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": value if low is None else low, "high": value if high is None else high}


def report(judged: Judged, folder: Path, metrics: dict) -> str:
    figures = {name: judged.output / f"{name}.png" for name in ("calibration_curves", "estimated_dsc", "heatmaps")}
    write_report(folder / "report.html", metrics, figures)
    return (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.03, "better than always"), (-0.03, -0.01, "worse than always"), (-0.01, 0.01, "about as good as always")],
)
def test_the_estimate_is_compared_with_the_constant_in_words(
    judged: Judged, tmp_path: Path, low: float, high: float, verdict: str
) -> None:
    metrics = copy.deepcopy(judged.metrics)
    metrics["differences"]["estimates"]["constant"]["lesion"]["mae"] = figure((low + high) / 2, low, high)
    page = report(judged, tmp_path, metrics)
    assert [words in page for words in ("better than always", "worse than always", "about as good as always")].count(
        True
    ) == 1
    assert verdict in page


def test_only_differences_beyond_chance_are_marked(judged: Judged, tmp_path: Path) -> None:
    metrics = copy.deepcopy(judged.metrics)
    for section in ("heatmaps", "estimates"):
        for by_class in metrics["differences"][section].values():
            by_class["lesion"] = {key: figure(0.0, -0.1, 0.1) for key in by_class["lesion"]}
    assert 'class="better"' not in report(judged, tmp_path, metrics)
    assert 'class="worse"' not in report(judged, tmp_path, metrics)
    metrics["differences"]["heatmaps"]["softmax"]["lesion"]["ece"] = figure(0.1, 0.05, 0.2)
    metrics["differences"]["heatmaps"]["softmax"]["lesion"]["union_sensitivity"] = figure(0.1, 0.05, 0.2)
    page = report(judged, tmp_path, metrics)
    assert page.count('class="worse"') == 1
    assert page.count('class="better"') == 1


def test_scans_that_were_trained_on_are_admitted(judged: Judged, tmp_path: Path) -> None:
    admits = "were trained on: all figures flatter the model"
    assert admits not in report(judged, tmp_path, judged.metrics)
    assert f"2 of these scans {admits}" in report(judged, tmp_path, judged.metrics | {"trained_scans": 2})


def test_names_are_text_and_never_markup(judged: Judged, tmp_path: Path) -> None:
    page = report(judged, tmp_path, judged.metrics | {"task": "<b>bold</b>"})
    assert "<b>bold</b>" not in page
    assert "&lt;b&gt;bold" in page


def test_a_report_without_intervals_says_what_they_need(judged: Judged, tmp_path: Path) -> None:
    page = report(judged, tmp_path, judged.metrics | {"interval_half_widths": {}})
    assert "There are no intervals" in page
