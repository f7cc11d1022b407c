"""Whether there is something to learn."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from apps.calibrated_ensemble.retraining.decision import LabelChanges, decide, label_changes
from apps.calibrated_ensemble.retraining.options import RetrainingOptions
from tests.tiny_training import Trained, write_balls

NOTHING = LabelChanges((), (), ())
ONE = LabelChanges(("new",), (), ())


def test_before_the_first_generation_every_label_is_new(trained: Trained) -> None:
    changes = label_changes(trained.scans, None)
    assert changes.added == tuple(sorted(scan.name for scan in trained.scans))
    assert decide(changes, None, RetrainingOptions(min_new_labels=100)).train
    assert not decide(NOTHING, None, RetrainingOptions()).train


def test_new_changed_and_removed_labels_are_told_apart(trained: Trained, tmp_path: Path) -> None:
    assert not label_changes(trained.scans, trained.generation).any
    first, second, *rest = trained.scans
    other = tmp_path / "other.nii.gz"
    shutil.copy(second.label, other)
    changed = replace(first, label=other)
    (new,) = write_balls(tmp_path / "new", 1)
    changes = label_changes([changed, *rest, replace(new, name="new")], trained.generation)
    assert changes == LabelChanges(("new",), (first.name,), (second.name,))


def test_a_generation_of_an_old_program_knows_names_alone(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.generation.path, tmp_path / "old")
    (tmp_path / "old" / "labels.json").unlink()
    old = replace(trained.generation, path=tmp_path / "old")
    assert not label_changes(trained.scans, old).any
    assert label_changes(trained.scans[1:], old).removed == (trained.scans[0].name,)


@pytest.mark.parametrize(
    ("changes", "options", "train"),
    [
        (NOTHING, RetrainingOptions(), False),
        (ONE, RetrainingOptions(), True),
        (ONE, RetrainingOptions(min_new_labels=2), False),
        (LabelChanges(("a",), ("b",), ()), RetrainingOptions(min_new_labels=2), True),
        (LabelChanges((), (), ("gone",)), RetrainingOptions(), False),
        (NOTHING, RetrainingOptions(force=True), True),
        (ONE, RetrainingOptions(min_new_labels=2, max_age_days=3), True),
        (ONE, RetrainingOptions(min_new_labels=2, max_age_days=1e6), False),
        (NOTHING, RetrainingOptions(max_age_days=3), False),
    ],
)
def test_what_was_told_decides(
    trained: Trained, changes: LabelChanges, options: RetrainingOptions, train: bool
) -> None:
    old = replace(trained.generation, id="20200101T000000-01234567")
    decision = decide(changes, old, options)
    assert decision.train is train
    assert decision.reason
