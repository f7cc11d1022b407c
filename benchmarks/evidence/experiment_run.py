"""Training and judging the models of one experiment, each step done once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.calibrated_ensemble.reports.evaluation_folder import write_results
from benchmarks.evidence.experiments import Experiment
from benchmarks.experiments.held_out_split import split_scans
from benchmarks.experiments.titled_progress import ShowProgress
from lib.datasets.decathlon import read_data_set
from lib.datasets.make_studies import seeded_order
from lib.datasets.scans import LabelledScan
from lib.ensemble_training.train import train_ensemble
from lib.errors import InputError
from lib.evaluation.compared_heatmaps import Comparison, compare_workspace
from lib.evaluation.evaluation import EvaluatedScan, judge
from lib.evaluation.evaluation_run import ScanJob, StatisticsRun
from lib.models.kinds.registry import CALIBRATED, KINDS
from lib.models.workspace import Workspace
from lib.simulation.phantoms import write_phantoms
from lib.task.task import Task


@dataclass(frozen=True)
class Parts:
    """The scans of an experiment, each part in the order of the names.

    Attributes:
        labelled: trained on.
        test: judge the models; none in cross-validation.
    """

    labelled: tuple[LabelledScan, ...]
    test: tuple[LabelledScan, ...]


def choose_parts(scans: Sequence[LabelledScan], experiment: Experiment) -> Parts:
    """Choose what is labelled and what tests; a larger number of labels adds to a smaller one of the same seed.

    Args:
        scans: labelled scans of the data set, in the order of their names.
        experiment: says how many.

    Raises:
        InputError: there are too few scans.
    """
    if experiment.labelled is None:
        return Parts(tuple(scans), ())
    split = split_scans(scans, experiment.held_out) if experiment.held_out else None
    pool = split.pool if split else tuple(scans)
    least = experiment.labelled + (0 if split else 1)
    if len(pool) < least:
        raise InputError(f"{experiment.name}: needs {least} scans besides those held out; there are {len(pool)}")
    chosen = set(seeded_order([scan.name for scan in pool], experiment.seed)[: experiment.labelled])
    labelled = tuple(scan for scan in pool if scan.name in chosen)
    return Parts(labelled, split.test if split else tuple(scan for scan in pool if scan.name not in chosen))


def run_experiment(
    experiment: Experiment, task: Task, data: Path, folder: Path, *, show_progress: ShowProgress, device: str
) -> dict[str, dict[str, Any]]:
    """Train the model and its baselines, and judge them by clean and by corrupted scans.

    Args:
        experiment: what is done.
        task: its settings; the experiment's seed takes the place of its own.
        data: holds the folder of the data set.
        folder: of this experiment; what it holds is not done again.
        show_progress: see `ShowProgress`.
        device: see `lib.networks.devices.choose_device`.

    Returns:
        What `metrics.json` holds, for `clean` and for `corrupted` scans.

    Raises:
        InputError: the data set is missing or too small, a file cannot be used or written.
        FloatingPointError: a training diverged.
    """
    task = task.model_copy(update={"seed": experiment.seed})
    source = data / experiment.data_set if experiment.data_set else folder / "phantoms"
    if experiment.phantoms:
        write_phantoms(source, experiment.phantoms)
    parts = choose_parts(read_data_set(source / "imagesTr", source / "labelsTr", task).labelled, experiment)
    workspace = Workspace(folder / "workspace")
    # In cross-validation a baseline, which is trained on all scans, has none that could judge it.
    for kind in KINDS.values() if parts.test else (CALIBRATED,):
        with show_progress(f"{experiment.name}: training, {kind.name}") as progress:
            train_ensemble(task, parts.labelled, workspace, kind=kind, device=device, progress=progress)
    comparison = compare_workspace(workspace)
    if not parts.test:
        comparison = comparison.served_alone()
    return {
        condition: _judge(
            experiment, comparison, parts, folder, corrupted=corrupted, show_progress=show_progress, device=device
        )
        for condition, corrupted in (("clean", False), ("corrupted", True))
    }


def _judge(
    experiment: Experiment,
    comparison: Comparison,
    parts: Parts,
    folder: Path,
    *,
    corrupted: bool,
    show_progress: ShowProgress,
    device: str,
) -> dict[str, Any]:
    folds = comparison.served.fold_of_patient
    by_fold = sorted(parts.labelled, key=lambda scan: (folds[scan.patient], scan.name))
    judged = [ScanJob(scan, corrupted=corrupted) for scan in parts.test] or [
        ScanJob(scan, fold=folds[scan.patient], corrupted=corrupted) for scan in by_fold
    ]
    run = StatisticsRun(comparison, folder / "statistics", device=device)
    condition = "corrupted" if corrupted else "clean"
    with show_progress(f"{experiment.name}: judging, {condition}") as progress:
        files = run.files(judged, stage="evaluating", progress=progress)
        # Scans that judge cannot also set the widths of the intervals that they are to lie in.
        known = [ScanJob(scan, fold=folds[scan.patient]) for scan in by_fold] if parts.test else []
        out_of_fold = run.files(known, stage="out of fold", progress=progress)
    if run.failed:  # figures of fewer scans would be another experiment's
        raise InputError("; ".join(run.failed.values()))
    scans = [EvaluatedScan(job.scan.name, file, trained=False) for job, file in files.items()]
    evaluation = judge(comparison, scans, out_of_fold=[*out_of_fold.values()], failed={}, corrupted=corrupted)
    write_results(folder / condition, evaluation)
    return evaluation.metrics
