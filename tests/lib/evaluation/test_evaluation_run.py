"""Statistics of scans are made once, and again when what they depend on is another."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lib.calibration.votes import WeightedVotes
from lib.evaluation import evaluation_run as statistics_run
from lib.evaluation.compared_heatmaps import Comparison
from lib.evaluation.evaluation_run import ScanJob, StatisticsRun
from lib.evaluation.evaluation_scans import select_scans
from lib.evaluation.scan_statistics import ScanStatistics
from lib.evaluation.statistics_files import read_statistics
from lib.progress import silent
from tests.evaluated_studies import Judged


@pytest.fixture
def jobs(judged: Judged, comparison: Comparison) -> list[ScanJob]:
    """Those of the evaluation that is there already."""
    data_set = judged.data_set
    chosen = select_scans(
        data_set / "imagesTr",
        data_set / "labelsTr",
        comparison.served,
        regions=data_set / "regionsTr",
        include_trained=False,
    )
    return [
        *(ScanJob(scan) for scan in chosen.evaluated),
        *(ScanJob(scan, fold=fold) for scan, fold in chosen.out_of_fold),
    ]


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows with every scan that is predicted from now on."""
    calls: list[object] = []
    reduce_scan = statistics_run.reduce_scan

    def logged(*arguments: object) -> object:
        calls.append(arguments)
        return reduce_scan(*arguments)

    monkeypatch.setattr(statistics_run, "reduce_scan", logged)
    return calls


def test_an_interrupted_run_goes_on_where_it_was(
    judged: Judged, comparison: Comparison, jobs: list[ScanJob], predicted: list[object], tmp_path: Path
) -> None:
    whole = StatisticsRun(comparison, judged.output / "statistics", device="cpu")
    files = list(whole.files(jobs, stage="", progress=silent).values())
    assert not predicted
    for file in files[1:]:
        shutil.copy(file, tmp_path)
    again = list(StatisticsRun(comparison, tmp_path, device="cpu").files(jobs, stage="", progress=silent).values())
    assert len(predicted) == 1
    assert [file.name for file in again] == [file.name for file in files]
    before, after = read_statistics(files[0]), read_statistics(again[0])
    for name, estimate in before.estimates.items():
        np.testing.assert_array_equal(after.estimates[name], estimate)


def test_a_corrected_label_a_corruption_and_a_fold_are_other_statistics(
    judged: Judged, comparison: Comparison, jobs: list[ScanJob], predicted: list[object], tmp_path: Path
) -> None:
    job, other = jobs[0], jobs[1]
    corrected = replace(job, scan=replace(job.scan, region=other.scan.region))
    run = StatisticsRun(comparison, tmp_path, device="cpu")
    variants = [job, corrected, replace(job, corrupted=True), replace(job, fold=0)]
    files = run.files(variants, stage="", progress=silent)
    assert len(predicted) == len(set(files.values())) == len(variants)


def test_out_of_fold_scans_are_predicted_by_the_served_generation_alone(
    judged: Judged, comparison: Comparison, jobs: list[ScanJob]
) -> None:
    run = StatisticsRun(comparison, judged.output / "statistics", device="cpu")
    *_, out_of_fold = map(read_statistics, run.files(jobs, stage="", progress=silent).values())
    assert set(out_of_fold.true_dsc) == {"calibrated"}
    assert not [name for name in out_of_fold.estimates if name.startswith("dropout")]


def test_what_judges_an_out_of_fold_scan_is_fitted_without_it(
    comparison: Comparison, jobs: list[ScanJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compared: list[Comparison] = []

    def noted(ensembles: object, part: Comparison, truth: object) -> ScanStatistics:
        compared.append(part)
        return reduce_scan(ensembles, part, truth)

    reduce_scan = statistics_run.reduce_scan
    monkeypatch.setattr(statistics_run, "reduce_scan", noted)
    job = next(job for job in jobs if job.fold is not None)
    StatisticsRun(comparison, tmp_path, device="cpu").files([jobs[0], job], stage="", progress=silent)
    served = comparison.served
    others = [scan for scan in served.metrics["dice_by_scan"] if scan != job.scan.name]
    assert len(others) == 3
    total = served.statistics
    own = [total - served.statistics_without(scan) for scan in others]
    expected = served.task.calibrator.fit(own[0] + own[1] + own[2])
    calibrations = [part.heatmaps["votes"].calibration for part in compared]
    assert calibrations[0] == served.calibration
    assert isinstance(calibrations[1], WeightedVotes)
    np.testing.assert_allclose(calibrations[1].coefficients, expected.coefficients, atol=1e-9)
    assert calibrations[1] != served.calibration
    assert list(compared[1].heatmaps) == list(comparison.served_alone().heatmaps)


def test_progress_is_told_of_every_scan(judged: Judged, comparison: Comparison, jobs: list[ScanJob]) -> None:
    told: list[tuple[str, int, int]] = []
    run = StatisticsRun(comparison, judged.output / "statistics", device="cpu")
    run.files(jobs, stage="evaluating", progress=lambda *step, **_: told.append(step))
    assert told == [("evaluating", number, len(jobs)) for number in range(1, len(jobs) + 1)]


def test_what_one_scan_raises_is_named_and_does_not_stop_the_rest(
    judged: Judged, comparison: Comparison, jobs: list[ScanJob], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(jobs[0].scan.image.read_bytes()[:3000])
    truncated = replace(jobs[0], scan=replace(jobs[0].scan, name="cut", image=cut))
    odd = replace(jobs[1], scan=replace(jobs[1].scan, name="odd"), corrupted=True)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(statistics_run, "corrupt", fail)
    run = StatisticsRun(comparison, judged.output / "statistics", device="cpu")
    files = run.files([truncated, odd, *jobs], stage="", progress=silent)
    assert list(files) == jobs
    assert "cut.nii.gz: cannot be read as an image" in run.failed["cut"]
    assert "ZeroDivisionError: nobody foresaw this" in run.failed["odd"]
