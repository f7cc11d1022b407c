"""What is kept of every labelled scan, against brute force over the real members' outputs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lib.calibration.statistics.vote_patterns import PatternCounts
from lib.datasets.scans import digest_labelled_scan
from lib.ensemble_training import out_of_fold
from lib.ensemble_training.cross_validated import sum_statistics
from lib.ensemble_training.out_of_fold import ScanEvaluation, evaluate_out_of_fold, mean_dice
from lib.errors import StorageError
from lib.networks.sliding_window import predict_logits
from lib.preprocessing.prepared_scans import PreparedScan, prepare_scan
from lib.progress import Progress, silent
from lib.training.checkpoints import CheckpointStore
from lib.training.folds import Fold, split_folds
from lib.training.member_job import MemberJob, member_jobs
from lib.training.members import load_member
from tests.tiny_training import Trained, full_disk, prepared

WEIGHTS = [(-2.0,), (-1.0,), (0.0,)]
CPU = torch.device("cpu")


@dataclass
class TrainedMembers:
    """Members of the trained workspace at three loss weights, and where they are kept."""

    members: list[list[MemberJob]]
    store: CheckpointStore

    @property
    def folds(self) -> list[Fold]:
        return [jobs[0].fold for jobs in self.members]

    def change(self, **changes: Any) -> None:
        """Change every job."""
        self.members = [[replace(job, **changes) for job in jobs] for jobs in self.members]

    def hold_out(self, choose: Callable[[tuple[PreparedScan, ...]], tuple[PreparedScan, ...]]) -> None:
        """Change which scans each fold judges."""
        self.members = [
            [replace(job, fold=replace(job.fold, validation=choose(job.fold.validation))) for job in jobs]
            for jobs in self.members
        ]


@pytest.fixture
def validation(trained: Trained) -> TrainedMembers:
    """The cross-validation that the trained workspace came from."""
    generation, workspace = trained.generation, trained.workspace
    scans = [
        prepare_scan(
            scan,
            task=trained.task,
            plan=generation.plan,
            digest=digest_labelled_scan(scan),
            folder=workspace.prepared_scans,
        )
        for scan in trained.scans
    ]
    folds = split_folds(scans, generation.fold_of_patient, trained.task.fold_count)
    members = member_jobs(trained.task, generation.plan, folds, WEIGHTS)
    return TrainedMembers([list(jobs) for jobs in members], CheckpointStore(workspace.members))


@pytest.fixture
def small(validation: TrainedMembers) -> TrainedMembers:
    """The same, with one scan to judge in each fold."""
    validation.hold_out(lambda scans: scans[:1])
    return validation


def segmentations(validation: TrainedMembers, number: int, scan: PreparedScan) -> np.ndarray:
    image = torch.from_numpy(np.array(scan.image))[None]
    jobs = validation.members[number]
    members = [load_member(job, validation.store, device=CPU) for job in jobs]
    logits = [predict_logits(member, image, plan=jobs[0].plan) for member in members]
    return np.stack([one.argmax(dim=0).numpy() for one in logits])


def brute_force(votes: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and foreground of every pattern of three members, voxel by voxel, for one class."""
    voxels, foreground = np.zeros((1, 8), int), np.zeros((1, 8), int)
    for (first, second, third), truth in zip(votes.reshape(3, -1).T.tolist(), label.ravel().tolist(), strict=True):
        pattern = first + 2 * second + 4 * third
        voxels[0, pattern] += 1
        foreground[0, pattern] += truth
    return voxels, foreground


def evaluate(validation: TrainedMembers, folder: Path, progress: Progress = silent) -> list[ScanEvaluation]:
    return evaluate_out_of_fold(
        validation.members, validation.store, reference=1, folder=folder, device=CPU, progress=progress
    )


def test_counts_and_dice_are_those_of_members_that_did_not_see_the_scan(
    tmp_path: Path, validation: TrainedMembers, trained: Trained
) -> None:
    evaluations = evaluate(validation, tmp_path)
    assert sorted(one.name for one in evaluations) == sorted(scan.name for scan in trained.scans)
    total = PatternCounts.zeros(1, 3)
    for evaluation in evaluations:
        (fold,) = [fold for fold in validation.folds if evaluation.name in [scan.name for scan in fold.validation]]
        assert evaluation.fold == fold.number == trained.generation.fold_of_patient[evaluation.name]
        assert evaluation.name not in [scan.name for scan in fold.training]
        (scan,) = [scan for scan in fold.validation if scan.name == evaluation.name]
        votes = segmentations(validation, fold.number, scan)
        voxels, foreground = brute_force(votes, scan.label)
        np.testing.assert_array_equal(evaluation.statistics.patterns.voxels, voxels)
        np.testing.assert_array_equal(evaluation.statistics.patterns.foreground, foreground)
        for member, dice in zip(votes, evaluation.dice, strict=True):
            both = ((member == 1) & (scan.label == 1)).sum()
            assert dice == pytest.approx([2 * both / ((member == 1).sum() + (scan.label == 1).sum())])
        total = total + evaluation.statistics.patterns
    summed = sum_statistics(evaluations, classes=1, members=3)
    np.testing.assert_array_equal(summed.patterns.voxels, total.voxels)
    np.testing.assert_array_equal(trained.generation.statistics.patterns.voxels, total.voxels)
    np.testing.assert_array_equal(trained.generation.statistics.patterns.foreground, total.foreground)
    # The members do vote, and not all alike: the comparison is no comparison of zeros.
    assert (total.voxels[0] > 0).sum() >= 3


def test_voxels_outside_the_region_count_for_nothing(tmp_path: Path, validation: TrainedMembers) -> None:
    whole = validation.folds[0].validation[0]
    region = np.zeros(whole.image.shape, bool)
    region[4:14, 6:18, 3:9] = True
    scan = prepared(tmp_path, "with_region", np.array(whole.image), np.array(whole.label), region)
    validation.members = validation.members[:1]
    validation.hold_out(lambda _: (scan,))
    (evaluation,) = evaluate(validation, tmp_path / "kept")
    votes = segmentations(validation, 0, scan)
    voxels, foreground = brute_force(votes[:, 4:14, 6:18, 3:9], scan.label[4:14, 6:18, 3:9])
    np.testing.assert_array_equal(evaluation.statistics.patterns.voxels, voxels)
    np.testing.assert_array_equal(evaluation.statistics.patterns.foreground, foreground)
    assert evaluation.statistics.patterns.voxels.sum() == region.sum()
    inside, truth = votes[0] * region, scan.label * region
    expected = 2 * (inside * truth).sum() / (inside.sum() + truth.sum())
    assert evaluation.dice[0, 0] == pytest.approx(expected)


def test_kept_evaluations_are_not_made_again(
    tmp_path: Path, small: TrainedMembers, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[int, tuple[float, ...]]] = []

    def recorded(job: MemberJob, *others: Any, **named: Any) -> Any:
        loaded.append((job.fold.number, job.weight))
        return load_member(job, *others, **named)

    monkeypatch.setattr(out_of_fold, "load_member", recorded)
    first = evaluate(small, tmp_path)
    assert loaded == [(fold, weight) for fold in (0, 1) for weight in WEIGHTS]
    loaded.clear()
    again = evaluate(small, tmp_path)
    assert loaded == []
    for one, other in zip(first, again, strict=True):
        assert (one.name, one.fold) == (other.name, other.fold)
        np.testing.assert_array_equal(one.dice, other.dice)
        np.testing.assert_array_equal(one.statistics.patterns.voxels, other.statistics.patterns.voxels)
        assert one.statistics.patterns.foreground.dtype == other.statistics.patterns.foreground.dtype
    # One is lost: its fold's members run for it alone.
    min(tmp_path.iterdir()).unlink()
    evaluate(small, tmp_path)
    assert len(loaded) == len(WEIGHTS)


def test_an_interrupted_evaluation_goes_on(tmp_path: Path, small: TrainedMembers) -> None:
    reports: list[tuple[str, int, int]] = []

    def interrupt(stage: str, done: int, total: int, /, **figures: float) -> None:
        reports.append((stage, done, total))
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(small, tmp_path, progress=interrupt)
    assert reports == [("cross-validation", 1, 2)]
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(kept) == 1
    assert len(evaluate(small, tmp_path)) == 2
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_other_weights_or_another_window_are_evaluated_anew(tmp_path: Path, small: TrainedMembers) -> None:
    evaluate(small, tmp_path)
    small.members = [jobs[::-1] for jobs in small.members]
    evaluate(small, tmp_path)
    small.members = [jobs[::-1] for jobs in small.members]
    small.change(plan=small.members[0][0].plan.model_copy(update={"window_size": (14, 14, 14)}))
    evaluate(small, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3 * 2


def test_a_renamed_scan_is_evaluated_under_its_new_name(tmp_path: Path, small: TrainedMembers) -> None:
    evaluate(small, tmp_path)
    small.hold_out(lambda scans: tuple(replace(scan, name=f"new_{scan.name}") for scan in scans))
    assert all(one.name.startswith("new_ball_") for one in evaluate(small, tmp_path))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path, small: TrainedMembers) -> None:
    with full_disk(100), pytest.raises(StorageError, match="free some space"):
        evaluate(small, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_mean_leaves_out_scans_without_the_class() -> None:
    dice = ([[0.5, np.nan]], [[1.0, np.nan]], [[np.nan, np.nan]])
    mean = mean_dice([ScanEvaluation("scan", 0, np.array(one), Path("nowhere")) for one in dice])
    np.testing.assert_array_equal(mean, [[0.75, np.nan]])


def test_a_damaged_evaluation_is_made_again(
    tmp_path: Path, small: TrainedMembers, caplog: pytest.LogCaptureFixture
) -> None:
    before = evaluate(small, tmp_path)
    content = before[0].file.read_bytes()
    # Some zeros in the middle, and a file that ends early.
    before[0].file.write_bytes(content[:200] + bytes(20) + content[220:])
    before[1].file.write_bytes(before[1].file.read_bytes()[:300])
    again = evaluate(small, tmp_path)
    for one, other in zip(before, again, strict=True):
        assert one.file == other.file
        np.testing.assert_array_equal(one.dice, other.dice)
        assert f"{one.file}: cannot be read" in caplog.text
    assert before[0].file.read_bytes() == content


def test_members_that_hold_no_scan_out_give_no_evaluation_and_the_sum_is_that_of_no_scan(
    tmp_path: Path, validation: TrainedMembers
) -> None:
    validation.hold_out(lambda _: ())
    assert evaluate(validation, tmp_path) == []
    assert sum_statistics([], classes=1, members=3).patterns.voxels.sum() == 0
