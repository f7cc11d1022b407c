"""Which stages are trained, and which are found, by the real training of tiny networks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lib.training.cross_validation import CrossValidation

from lib.preprocessing.plan import Plan
from lib.preprocessing.prepared_scans import PreparedScan
from lib.progress import Progress, silent
from lib.task.task import Task
from lib.training.checkpoints import MemberStore
from lib.training.folds import split_folds
from tests.tiny_training import a_plan, a_task, ball_scan, record_training, tree, two_folds

LOW, MIDDLE, HIGH = (-1.0,), (0.0,), (1.0,)
QUICK = {"iterations": 8, "batch_size": 1}


@pytest.fixture
def scans(tmp_path: Path) -> list[PreparedScan]:
    return [ball_scan(tmp_path / "scans", name, seed) for seed, name in enumerate("abcd")]


def cross_validation(
    scans: Sequence[PreparedScan],
    store: Path,
    *,
    task: Task | None = None,
    plan: Plan | None = None,
    progress: Progress = silent,
) -> CrossValidation:
    return CrossValidation(
        two_folds(scans),
        task=task or a_task(training=QUICK),
        plan=plan or a_plan(patch_size=(8, 8, 8)),
        store=MemberStore(store),
        device=torch.device("cpu"),
        progress=progress,
    )


def keys(scans: Sequence[PreparedScan], **others: Any) -> list[str]:
    """Keys of the members of both folds at one loss weight."""
    task = a_task(training=QUICK | others.pop("training", {}), **others.pop("settings", {}))
    validation = cross_validation(scans, Path("nowhere"), task=task, **others)
    return [validation.member_key(fold, MIDDLE) for fold in validation.folds]


def test_the_first_stages_are_trained_once_for_all_loss_weights(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    validation = cross_validation(scans, tmp_path / "members")
    validation.train([LOW, MIDDLE, HIGH])
    assert [log.count(number) for number in (1, 2, 3, 4)] == [2, 2, 2, 6]
    assert all(stage.loss_weight == MIDDLE for _, stage in log.stages if stage.number < 4)
    assert sorted(stage.loss_weight for _, stage in log.stages if stage.number == 4) == [
        LOW,
        LOW,
        MIDDLE,
        MIDDLE,
        HIGH,
        HIGH,
    ]
    # 3 shared stages and 3 members of each fold.
    assert len(tree(tmp_path / "members")) == 12
    assert validation.is_trained(HIGH)
    assert not validation.is_trained((2.0,))


def test_members_are_trained_on_the_scans_of_the_other_folds_alone(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    cross_validation(scans, tmp_path / "members").train([MIDDLE])
    assert [names for names, _ in log.stages] == [("c", "d")] * 4 + [("a", "b")] * 4


def test_a_repeated_run_trains_nothing_and_a_new_loss_weight_only_the_last_stage(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    cross_validation(scans, tmp_path / "members").train([LOW])
    before = tree(tmp_path / "members")
    log = record_training(monkeypatch)
    validation = cross_validation(scans, tmp_path / "members")
    validation.train([LOW])
    assert log.count() == 0
    validation.train([LOW, HIGH])
    assert log.count() == log.count(4) == 2
    after = tree(tmp_path / "members")
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 2


def test_the_order_of_training_changes_no_weight(tmp_path: Path, scans: list[PreparedScan]) -> None:
    for name, weights in (("up", [LOW, HIGH]), ("down", [HIGH, LOW])):
        for weight in weights:
            cross_validation(scans, tmp_path / name).train([weight])
    assert tree(tmp_path / "up") == tree(tmp_path / "down")


@pytest.mark.parametrize("stages", [1, 3, 6])
def test_a_run_that_breaks_off_goes_on_where_it_was(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch, stages: int
) -> None:
    cross_validation(scans, tmp_path / "whole").train([LOW, HIGH])

    def interrupt(*_: object, **figures: float) -> None:
        if log.count() > stages:
            raise KeyboardInterrupt

    log = record_training(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        cross_validation(scans, tmp_path / "broken", progress=interrupt).train([LOW, HIGH])
    assert len(tree(tmp_path / "broken")) == stages
    log.stages.clear()
    cross_validation(scans, tmp_path / "broken").train([LOW, HIGH])
    assert log.count() == 10 - stages
    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")


def test_progress_counts_every_step_of_the_whole_run(tmp_path: Path, scans: list[PreparedScan]) -> None:
    reports: list[tuple[str, int, int, dict[str, float]]] = []

    def progress(stage: str, done: int, total: int, /, **figures: float) -> None:
        reports.append((stage, done, total, figures))

    cross_validation(scans, tmp_path / "members").train([LOW])
    cross_validation(scans, tmp_path / "members", progress=progress).train([LOW, HIGH])
    # Two folds miss one stage of two steps each.
    assert [report[:3] for report in reports] == [("training", 2, 4), ("training", 4, 4)]
    assert [report[3]["fold"] for report in reports] == [1, 2]
    assert all(report[3]["w_lesion"] == 1.0 and report[3]["loss"] > 0 for report in reports)


def test_a_trained_member_is_loaded_for_use(tmp_path: Path, scans: list[PreparedScan]) -> None:
    validation = cross_validation(scans, tmp_path / "members")
    validation.train([LOW, HIGH])
    low, again, high = (validation.load(validation.folds[0], weight) for weight in (LOW, LOW, HIGH))
    assert not low.training
    image = torch.rand(1, 1, 8, 8, 8)
    with torch.inference_mode():
        assert torch.equal(low(image), again(image))
        assert not torch.equal(low(image), high(image))


def test_members_depend_on_the_labels_of_their_training_scans_alone(scans: list[PreparedScan]) -> None:
    before = keys(scans)
    changed = [replace(scans[0], digest="another label"), *scans[1:]]
    after = keys(changed)
    # Scan a is judged by fold 0 and trains fold 1.
    assert before[0] == after[0]
    assert before[1] != after[1]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"folds": "vote"}},
        {"settings": {"solver": "unconstrained"}},
        {"settings": {"offsets": [0, 5]}},
        {"settings": {"w_dsc": [2]}},
        {"settings": {"name": "renamed"}},
        {"plan": a_plan(patch_size=(8, 8, 8), window_size=(64, 64, 64))},
    ],
)
def test_what_training_does_not_depend_on_keeps_the_members(scans: list[PreparedScan], change: dict[str, Any]) -> None:
    assert keys(scans, **change) == keys(scans)


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"seed": 1}},
        {"settings": {"labels": {"tumour": 1}}},
        {"settings": {"network": {"init_filters": 8, "blocks_down": [1, 1]}}},
        {"training": {"iterations": 12}},
        {"training": {"learning_rate": 0.001}},
        {"training": {"mirror_axes": []}},
        {"plan": a_plan(patch_size=(10, 8, 8))},
        {"plan": a_plan(patch_size=(8, 8, 8), spacing=(1, 1, 1))},
    ],
)
def test_what_training_depends_on_makes_other_members(scans: list[PreparedScan], change: dict[str, Any]) -> None:
    assert not set(keys(scans, **change)) & set(keys(scans))


@given(
    st.lists(st.tuples(st.sampled_from("pqrs"), st.integers(0, 99)), min_size=1, max_size=12, unique=True), st.randoms()
)
def test_every_scan_is_judged_once_by_members_that_saw_no_scan_of_its_patient(
    named: list[tuple[str, int]], random: Any
) -> None:
    scans = [PreparedScan(f"{p}_{n}", patient=p, digest=f"{p}{n}", folder=Path()) for p, n in named]
    assigned = {"p": 0, "q": 1, "r": 2, "s": 1}
    folds = split_folds(scans, assigned, 3)
    assert [fold.number for fold in folds] == [0, 1, 2]
    for fold in folds:
        assert {scan.patient for scan in fold.training}.isdisjoint(scan.patient for scan in fold.validation)
        assert {*fold.training, *fold.validation} == set(scans)
    judged = [scan.name for fold in folds for scan in fold.validation]
    assert sorted(judged) == sorted(scan.name for scan in scans)
    random.shuffle(scans)
    assert split_folds(scans, assigned, 3) == folds
