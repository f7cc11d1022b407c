"""What an evaluation leaves in its folder: `metrics.json`, figures and the report."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.calibrated_ensemble.reports.html_report import write_report
from apps.calibrated_ensemble.reports.plots import draw_calibration_curves, draw_estimates, draw_heatmaps
from lib.evaluation.compared_heatmaps import Comparison
from lib.evaluation.metrics_table import COVERAGE, Collected, collect, figures_of_merit, half_widths, judged_methods
from lib.evaluation.scan_statistics import ENTROPY
from lib.evaluation.statistics_files import read_statistics
from lib.metrics.dice import ABSENT_DICE
from lib.models.kinds.method import Method
from lib.quality.conformal import coverage_range
from lib.simulation.corruptions import corruption_kind
from lib.storage.atomic import write_text


@dataclass(frozen=True)
class Evaluated:
    """A scan that was evaluated.

    Attributes:
        name: of the scan.
        statistics: file of its statistics.
        trained: whether the served generation was trained on it.
    """

    name: str
    statistics: Path
    trained: bool


def write_results(
    output: Path, comparison: Comparison, scans: Sequence[Evaluated], *, out_of_fold: Sequence[Path], corrupted: bool
) -> dict[str, Any]:
    """Write `metrics.json`, `calibration_curves.png`, `estimated_dsc.png`, `heatmaps.png` and `report.html`.

    Args:
        output: folder, made when missing.
        comparison: what was compared.
        scans: at least one.
        out_of_fold: statistics of scans that were trained on, from the members that have not seen them.
        corrupted: whether the scans were corrupted.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: a file cannot be written.
    """
    classes = comparison.served.task.classes
    constant = _cross_validated(comparison.served.metrics["dice_by_scan"].values())
    collected = collect((read_statistics(scan.statistics) for scan in scans), constant)
    known = collect(map(read_statistics, out_of_fold), constant) if out_of_fold else None
    widths = half_widths(known)
    modality = comparison.served.task.modality
    corruptions = [corruption_kind(scan.name, modality=modality) if corrupted else None for scan in scans]
    metrics = {
        "scans": len(scans),
        "trained_scans": sum(scan.trained for scan in scans),
        "out_of_fold_scans": len(out_of_fold),
        "classes": list(classes),
        "corrupted": corrupted,
        "corruptions": sorted({kind for kind in corruptions if kind is not None}),
        "task": comparison.served.task.name,
        "generation": comparison.served.id,
        "generations": {method.value: generation.id for method, generation in comparison.generations.items()},
        "default_heatmap": comparison.reference.name,
        "meanings": {name: heatmap.meaning for name, heatmap in comparison.heatmaps.items()},
        **figures_of_merit(collected, widths, comparison),
        "interval_coverage_by_chance": _coverage_by_chance(len(out_of_fold), len(scans)),
        "interval_half_widths": {name: _by_class(width, classes) for name, width in widths.items()},
        "by_scan": [
            {
                "scan": scan.name,
                "trained": scan.trained,
                "corruption": kind,
                "true_dsc": {method: _by_class(true[row], classes) for method, true in collected.true_dsc.items()},
                "estimates": {name: _by_class(one[row], classes) for name, one in collected.estimates.items()},
            }
            for row, (scan, kind) in enumerate(zip(scans, corruptions, strict=True))
        ],
    }
    figures = _draw(output, metrics, comparison, collected, scans)
    write_text(output / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False) + "\n")
    write_report(output / "report.html", metrics, figures)
    return metrics


def _coverage_by_chance(out_of_fold: int, scans: int) -> dict[str, float] | None:
    found = coverage_range(out_of_fold, scans, coverage=COVERAGE)
    return None if found is None else dict(zip(("low", "high"), found, strict=True))


def _cross_validated(dice_by_scan: Iterable[Sequence[float | None]]) -> list[float | None]:
    """Mean DSC of each class; a class that is in neither prediction nor label counts as found, as in the truth."""
    by_class = zip(*dice_by_scan, strict=True)
    return [float(np.mean([ABSENT_DICE if dice is None else dice for dice in found])) for found in by_class]


def _draw(
    output: Path,
    metrics: Mapping[str, Any],
    comparison: Comparison,
    collected: Collected,
    scans: Sequence[Evaluated],
) -> dict[str, Path]:
    figures = {name: output / f"{name}.png" for name in ("calibration_curves", "estimated_dsc", "heatmaps")}
    draw_calibration_curves(figures["calibration_curves"], metrics["heatmaps"], metrics["classes"])
    methods = judged_methods(collected, comparison)
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
        row: f"{scans[row].name}\nestimated DSC {100 * estimated[row]:.1f} %, true {100 * true[row]:.1f} %"
        for row in _typical(true)
    }
    shown = {title: read_statistics(scans[row].statistics).shown for row, title in titles.items()}
    draw_heatmaps(figures["heatmaps"], shown)
    return figures


def _typical(true: np.ndarray) -> list[int]:
    """The worst scan, the middle one and the best, fewer where there are not so many."""
    order = np.argsort(true, kind="stable")
    return list(dict.fromkeys(order[[0, (len(order) - 1) // 2, -1]].tolist()))


def _by_class(values: np.ndarray, classes: Sequence[str]) -> dict[str, float | None]:
    return {label: float(value) if np.isfinite(value) else None for label, value in zip(classes, values, strict=True)}
