"""What an evaluation leaves in its folder: `metrics.json`, figures and the report."""

import json
from pathlib import Path

import numpy as np

from apps.calibrated_ensemble.reports.html_report import write_report
from apps.calibrated_ensemble.reports.plots import draw_calibration_curves, draw_estimates, draw_heatmaps
from lib.evaluation.evaluation import Evaluation
from lib.evaluation.metrics_table import method_of_estimator
from lib.evaluation.scan_statistics import ENTROPY
from lib.evaluation.statistics_files import read_statistics
from lib.models.kinds.method import Method
from lib.storage.atomic import write_text


def write_results(output: Path, evaluation: Evaluation) -> None:
    """Write `metrics.json`, `calibration_curves.png`, `estimated_dsc.png`, `heatmaps.png` and `report.html`.

    Args:
        output: folder, made when missing.
        evaluation: what is written.

    Raises:
        StorageError: a file cannot be written.
    """
    figures = _draw(output, evaluation)
    write_text(output / "metrics.json", json.dumps(evaluation.metrics, indent=1, allow_nan=False) + "\n")
    write_report(output / "report.html", evaluation.metrics, figures)


def _draw(output: Path, evaluation: Evaluation) -> dict[str, Path]:
    comparison, collected, metrics = evaluation.comparison, evaluation.collected, evaluation.metrics
    figures = {name: output / f"{name}.png" for name in ("calibration_curves", "estimated_dsc", "heatmaps")}
    draw_calibration_curves(figures["calibration_curves"], metrics["heatmaps"], metrics["classes"])
    methods = method_of_estimator(collected, comparison)
    del methods[ENTROPY]  # estimates no DSC
    draw_estimates(
        figures["estimated_dsc"],
        {name: collected.estimates[name] for name in methods},
        {name: collected.true_dsc[method] for name, method in methods.items()},
        metrics["classes"],
    )
    true = collected.true_dsc[Method.CALIBRATED].mean(axis=1)
    estimated = collected.estimates[comparison.reference.name].mean(axis=1)
    titles = {
        row: f"{evaluation.scans[row].name}\nestimated DSC {100 * estimated[row]:.1f} %, true {100 * true[row]:.1f} %"
        for row in _typical(true)
    }
    shown = {title: read_statistics(evaluation.scans[row].statistics).shown for row, title in titles.items()}
    draw_heatmaps(figures["heatmaps"], shown)
    return figures


def _typical(true: np.ndarray) -> list[int]:
    """The worst scan, the middle one and the best, fewer where there are not so many."""
    order = np.argsort(true, kind="stable")
    return list(dict.fromkeys(order[[0, (len(order) - 1) // 2, -1]].tolist()))
