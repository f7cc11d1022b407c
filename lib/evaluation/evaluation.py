"""A model against the labels of scans: what the command `evaluate` does, without the report."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lib.datasets.scans import LabelledScan
from lib.errors import InputError
from lib.evaluation.compared_heatmaps import Comparison, compare_workspace
from lib.evaluation.evaluation_run import ScanJob, StatisticsRun
from lib.evaluation.evaluation_scans import EvaluationScans, divide_scans
from lib.evaluation.metrics_table import COVERAGE, ScanTable, compute_metrics, interval_half_widths, scan_table
from lib.evaluation.statistics_files import read_statistics
from lib.models.workspace import Workspace
from lib.progress import Progress, silent
from lib.quality.conformal import coverage_range
from lib.simulation.corruptions import corruption_kind


@dataclass(frozen=True)
class EvaluatedScan:
    """A scan that was evaluated.

    Attributes:
        name: of the scan.
        statistics: file of its statistics.
        trained: whether the served generation was trained on it.
    """

    name: str
    statistics: Path
    trained: bool


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Heatmaps and estimates, judged.

    Attributes:
        comparison: what was compared.
        scans: what it was judged by, at least one.
        collected: the statistics of these scans.
        metrics: fractions of 1 with their intervals, what `metrics.json` holds; see docs/command_line.md.
    """

    comparison: Comparison
    scans: tuple[EvaluatedScan, ...]
    collected: ScanTable
    metrics: dict[str, Any]


def evaluate(
    workspace: Workspace,
    scans: Sequence[LabelledScan],
    folder: Path | str,
    *,
    include_trained: bool = False,
    studies: Sequence[LabelledScan] = (),
    corrupted: bool = False,
    device: str = "auto",
    progress: Progress = silent,
) -> Evaluation:
    """Judge everything that a workspace holds for the labels of its current generation.

    Args:
        workspace: what is judged: its current generation, with each calibration, and its baselines.
        scans: with labels. Those of patients that the generation was trained on are left out, and judge by the
            members that have not seen them how far estimates are off.
        folder: where the statistics of each scan are kept, so that no scan is predicted twice.
        include_trained: evaluate scans that it was trained on as well, which flatters it.
        studies: further labelled scans; those that it was trained on are used as those of `scans` are.
        corrupted: whether the scans are corrupted first, see `lib.simulation.corruptions`.
        device: see `lib.networks.devices.choose_device`.
        progress: told of every scan.

    Raises:
        NotTrainedError: there is no model yet.
        InputError: nothing is left to evaluate. One scan or label that cannot be used is left out and named in the
            metrics.
        StorageError: a file cannot be written.
        DamagedGenerationError: a generation's files are not as published.
    """
    comparison = compare_workspace(workspace)
    chosen = divide_scans(scans, comparison.served, include_trained=include_trained, studies=studies, where="scans")
    return evaluate_chosen(comparison, chosen, Path(folder), corrupted=corrupted, device=device, progress=progress)


def evaluate_chosen(
    comparison: Comparison, chosen: EvaluationScans, folder: Path, *, corrupted: bool, device: str, progress: Progress
) -> Evaluation:
    """Judge what is compared by chosen scans; arguments and errors as for `evaluate`."""
    run = StatisticsRun(comparison, folder, device=device)
    files = run.files(
        [ScanJob(scan, corrupted=corrupted) for scan in chosen.evaluated], stage="evaluating", progress=progress
    )
    out_of_fold = run.files(
        [ScanJob(scan, fold=fold) for scan, fold in chosen.out_of_fold], stage="out of fold", progress=progress
    )
    scans = [EvaluatedScan(job.scan.name, file, job.scan.name in chosen.trained) for job, file in files.items()]
    if not scans:
        raise InputError(
            f"none of the {len(chosen.evaluated)} scans can be evaluated; the first: {next(iter(run.failed.values()))}"
        )
    return judge(comparison, scans, out_of_fold=[*out_of_fold.values()], failed=run.failed, corrupted=corrupted)


def judge(
    comparison: Comparison,
    scans: Sequence[EvaluatedScan],
    *,
    out_of_fold: Sequence[Path],
    failed: Mapping[str, str],
    corrupted: bool,
) -> Evaluation:
    """Judge what is compared by the statistics of scans.

    Args:
        comparison: what was compared.
        scans: at least one.
        out_of_fold: statistics of scans that were trained on, from the members that have not seen them.
        failed: scans that could not be used, name to reason.
        corrupted: whether the scans were corrupted.
    """
    classes = comparison.served.task.classes
    constant = _cross_validated(comparison.served.metrics["dice_by_scan"].values())
    collected = scan_table((read_statistics(scan.statistics) for scan in scans), constant)
    known = scan_table(map(read_statistics, out_of_fold), constant) if out_of_fold else None
    widths = interval_half_widths(known)
    modality = comparison.served.task.modality
    corruptions = [corruption_kind(scan.name, modality=modality) if corrupted else None for scan in scans]
    metrics = {
        "scans": len(scans),
        "trained_scans": sum(scan.trained for scan in scans),
        "out_of_fold_scans": len(out_of_fold),
        "failed": dict(failed),
        "classes": list(classes),
        "corrupted": corrupted,
        "corruptions": sorted({kind for kind in corruptions if kind is not None}),
        "task": comparison.served.task.name,
        "generation": comparison.served.id,
        "generations": {method.value: generation.id for method, generation in comparison.generations.items()},
        "default_heatmap": comparison.reference.name,
        "meanings": {name: heatmap.meaning for name, heatmap in comparison.heatmaps.items()},
        **compute_metrics(collected, widths, comparison),
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
    return Evaluation(comparison, tuple(scans), collected, metrics)


def _coverage_by_chance(out_of_fold: int, scans: int) -> dict[str, float] | None:
    found = coverage_range(out_of_fold, scans, coverage=COVERAGE)
    return None if found is None else dict(zip(("low", "high"), found, strict=True))


def _cross_validated(dice_by_scan: Iterable[Sequence[float | None]]) -> list[float | None]:
    """Mean DSC of each class; a class that is in neither prediction nor label counts as found, as in the truth."""
    by_class = zip(*dice_by_scan, strict=True)
    return [float(np.mean([1.0 if dice is None else dice for dice in found])) for found in by_class]


def _by_class(values: np.ndarray, classes: Sequence[str]) -> dict[str, float | None]:
    return {label: float(value) if np.isfinite(value) else None for label, value in zip(classes, values, strict=True)}
