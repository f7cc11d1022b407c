"""What is kept of every labelled scan, against brute force over the real members' outputs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lib.training.cross_validation import CrossValidation
from monai.metrics import compute_dice
from monai.networks.utils import one_hot

from lib.calibration.statistics.vote_patterns import PatternCounts
from lib.datasets.scans import digest_labelled_scan
from lib.ensemble_training.out_of_fold import ScanEvaluation, evaluate_out_of_fold, mean_dice, sum_statistics
from lib.metrics.dice import dice_per_class
from lib.networks.sliding_window import predict_logits
from lib.preprocessing.prepared_scans import PreparedScan, prepare_scan
from lib.progress import silent
from lib.training.checkpoints import MemberStore
from lib.training.folds import Fold, split_folds
from tests.tiny_training import Trained, full_disk, prepared

WEIGHTS = [(-2.0,), (-1.0,), (0.0,)]


@pytest.fixture
def validation(trained: Trained) -> CrossValidation:
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
    return CrossValidation(
        split_folds(scans, dict(generation.fold_of_patient), trained.task.fold_count),
        task=trained.task,
        plan=generation.plan,
        store=MemberStore(workspace.members),
        device=torch.device("cpu"),
        progress=silent,
    )


@pytest.fixture
def small(validation: CrossValidation) -> CrossValidation:
    """The same, with one scan to judge in each fold."""
    validation.folds = [replace(fold, validation=fold.validation[:1]) for fold in validation.folds]
    return validation


def segmentations(validation: CrossValidation, fold: Fold, scan: PreparedScan) -> np.ndarray:
    image = torch.from_numpy(np.array(scan.image))[None]
    members = [validation.load(fold, weight) for weight in WEIGHTS]
    logits = [predict_logits(member, image, plan=validation.plan) for member in members]
    return np.stack([one.argmax(dim=0).numpy() for one in logits])


def brute_force(votes: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Voxels and foreground of every pattern of three members, voxel by voxel, for one class."""
    voxels, foreground = np.zeros((1, 8), int), np.zeros((1, 8), int)
    for (first, second, third), truth in zip(votes.reshape(3, -1).T.tolist(), label.ravel().tolist(), strict=True):
        pattern = first + 2 * second + 4 * third
        voxels[0, pattern] += 1
        foreground[0, pattern] += truth
    return voxels, foreground


def evaluate(validation: CrossValidation, folder: Path, **others: Any) -> list[ScanEvaluation]:
    return evaluate_out_of_fold(validation, WEIGHTS, folder=folder, **{"served": 1, "progress": silent} | others)


def test_counts_and_dice_are_those_of_members_that_did_not_see_the_scan(
    tmp_path: Path, validation: CrossValidation, trained: Trained
) -> None:
    evaluations = evaluate(validation, tmp_path)
    assert sorted(one.name for one in evaluations) == sorted(scan.name for scan in trained.scans)
    total = PatternCounts.zeros(1, 3)
    for evaluation in evaluations:
        (fold,) = [fold for fold in validation.folds if evaluation.name in [scan.name for scan in fold.validation]]
        assert evaluation.fold == fold.number == trained.generation.fold_of_patient[evaluation.name]
        assert evaluation.name not in [scan.name for scan in fold.training]
        (scan,) = [scan for scan in fold.validation if scan.name == evaluation.name]
        votes = segmentations(validation, fold, scan)
        voxels, foreground = brute_force(votes, scan.label)
        np.testing.assert_array_equal(evaluation.statistics.patterns.voxels, voxels)
        np.testing.assert_array_equal(evaluation.statistics.patterns.foreground, foreground)
        for member, dice in zip(votes, evaluation.dice, strict=True):
            both = ((member == 1) & (scan.label == 1)).sum()
            assert dice == pytest.approx([2 * both / ((member == 1).sum() + (scan.label == 1).sum())])
        total = total + evaluation.statistics.patterns
    np.testing.assert_array_equal(sum_statistics(evaluations).patterns.voxels, total.voxels)
    np.testing.assert_array_equal(trained.generation.statistics.patterns.voxels, total.voxels)
    np.testing.assert_array_equal(trained.generation.statistics.patterns.foreground, total.foreground)
    # The members do vote, and not all alike: the comparison is no comparison of zeros.
    assert (total.voxels[0] > 0).sum() >= 3


def test_voxels_outside_the_region_count_for_nothing(tmp_path: Path, validation: CrossValidation) -> None:
    whole = validation.folds[0].validation[0]
    region = np.zeros(whole.image.shape, bool)
    region[4:14, 6:18, 3:9] = True
    scan = prepared(tmp_path, "with_region", np.array(whole.image), np.array(whole.label), region)
    validation.folds = [replace(validation.folds[0], validation=(scan,))]
    (evaluation,) = evaluate(validation, tmp_path / "kept")
    votes = segmentations(validation, validation.folds[0], scan)
    voxels, foreground = brute_force(votes[:, 4:14, 6:18, 3:9], scan.label[4:14, 6:18, 3:9])
    np.testing.assert_array_equal(evaluation.statistics.patterns.voxels, voxels)
    np.testing.assert_array_equal(evaluation.statistics.patterns.foreground, foreground)
    assert evaluation.statistics.patterns.voxels.sum() == region.sum()
    inside, truth = votes[0] * region, scan.label * region
    expected = 2 * (inside * truth).sum() / (inside.sum() + truth.sum())
    assert evaluation.dice[0, 0] == pytest.approx(expected)


def test_kept_evaluations_are_not_made_again(
    tmp_path: Path, small: CrossValidation, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[int, tuple[float, ...]]] = []
    load = small.load

    def recorded(fold: Fold, weight: tuple[float, ...]) -> Any:
        loaded.append((fold.number, weight))
        return load(fold, weight)

    monkeypatch.setattr(small, "load", recorded)
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


def test_an_interrupted_evaluation_goes_on(tmp_path: Path, small: CrossValidation) -> None:
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


def test_other_weights_or_another_window_are_evaluated_anew(tmp_path: Path, small: CrossValidation) -> None:
    evaluate(small, tmp_path)
    evaluate_out_of_fold(small, WEIGHTS[::-1], served=1, folder=tmp_path, progress=silent)
    small.plan = small.plan.model_copy(update={"window_size": (14, 14, 14)})
    evaluate(small, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3 * 2


def test_a_renamed_scan_is_evaluated_under_its_new_name(tmp_path: Path, small: CrossValidation) -> None:
    evaluate(small, tmp_path)
    small.folds = [
        replace(fold, validation=tuple(replace(scan, name=f"new_{scan.name}") for scan in fold.validation))
        for fold in small.folds
    ]
    assert all(one.name.startswith("new_ball_") for one in evaluate(small, tmp_path))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path, small: CrossValidation) -> None:
    with full_disk(100), pytest.raises(ValueError, match="free some space"):
        evaluate(small, tmp_path)
    assert list(tmp_path.iterdir()) == []


_CLASSES = arrays(np.uint8, (3, 4, 2), elements=st.integers(0, 2))


@given(_CLASSES, _CLASSES)
def test_dice_is_that_of_counted_voxels(segmentation: np.ndarray, label: np.ndarray) -> None:
    dice = dice_per_class(segmentation, label, class_count=3)
    assert dice.shape == (3,)
    assert dice.dtype == np.float64
    for number, value in enumerate(dice, 1):
        predicted = set(np.flatnonzero(segmentation == number))
        labelled = set(np.flatnonzero(label == number))
        if predicted or labelled:
            assert value == pytest.approx(2 * len(predicted & labelled) / (len(predicted) + len(labelled)))
        else:
            assert np.isnan(value)
    assert np.isnan(dice[2])


def test_dice_is_zero_where_only_one_side_holds_the_class() -> None:
    some, none = np.ones((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8)
    assert dice_per_class(some, none, class_count=1) == [0.0]
    assert dice_per_class(none, some, class_count=1) == [0.0]
    assert dice_per_class(some, some, class_count=1) == [1.0]


def test_the_mean_leaves_out_scans_without_the_class() -> None:
    dice = ([[0.5, np.nan]], [[1.0, np.nan]], [[np.nan, np.nan]])
    mean = mean_dice([ScanEvaluation("scan", 0, np.array(one), Path("nowhere")) for one in dice])
    np.testing.assert_array_equal(mean, [[0.75, np.nan]])


def test_a_damaged_evaluation_is_made_again(
    tmp_path: Path, small: CrossValidation, caplog: pytest.LogCaptureFixture
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
        assert f"{one.file}: is damaged" in caplog.text
    assert before[0].file.read_bytes() == content


def test_dice_is_monais_over_all_voxels() -> None:
    segmentation, label = np.random.default_rng(0).integers(0, 4, (2, 6, 7, 8), dtype=np.uint8)
    hot = [one_hot(torch.from_numpy(one.astype(np.int64))[None, None], num_classes=4) for one in (segmentation, label)]
    expected = compute_dice(hot[0], hot[1], include_background=False)[0].numpy()
    np.testing.assert_allclose(dice_per_class(segmentation, label, class_count=3), expected, rtol=1e-6)
    nothing = np.zeros_like(label)
    assert np.isnan(dice_per_class(nothing, nothing, class_count=3)).all()
    assert dice_per_class(nothing, label, class_count=3).tolist() == [0, 0, 0]
