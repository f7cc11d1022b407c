"""Which stages are trained, and which are found, by the real training of tiny networks."""

import itertools
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.executors.executor import Work
from lib.executors.local import InProcess
from lib.preprocessing.prepared_scans import PreparedScan
from lib.progress import Progress, silent
from lib.training.checkpoints import CheckpointStore
from lib.training.loss import LossWeight
from lib.training.member_job import MemberJob, member_jobs
from lib.training.members import load_member, train_member, train_members
from tests.tiny_training import a_plan, a_task, ball_scan, record_training, tree, two_folds

LOW, MIDDLE, HIGH = (-1.0,), (0.0,), (1.0,)
QUICK = {"iterations": 8, "batch_size": 1}
CPU = torch.device("cpu")


@pytest.fixture
def scans(tmp_path: Path) -> list[PreparedScan]:
    return [ball_scan(tmp_path / "scans", name, seed) for seed, name in enumerate("abcd")]


def members(scans: Sequence[PreparedScan], *weights: LossWeight) -> list[MemberJob]:
    """Members of both folds, one fold after the other."""
    plan = a_plan(patch_size=(8, 8, 8))
    return list(itertools.chain(*member_jobs(a_task(training=QUICK), plan, two_folds(scans), weights)))


def train(scans: Sequence[PreparedScan], store: Path, *weights: LossWeight, progress: Progress = silent) -> None:
    jobs = members(scans, *weights)
    train_members(jobs, CheckpointStore(store), executor=InProcess(), device=CPU, progress=progress)


def test_the_first_stages_are_trained_once_for_all_loss_weights(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    train(scans, tmp_path / "members", LOW, MIDDLE, HIGH)
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
    store = CheckpointStore(tmp_path / "members")
    assert all(store.has(job.key) for job in members(scans, HIGH))
    assert not any(store.has(job.key) for job in members(scans, (2.0,)))


def test_members_are_trained_on_the_scans_of_the_other_folds_alone(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    train(scans, tmp_path / "members", MIDDLE)
    assert [names for names, _ in log.stages] == [("c", "d")] * 4 + [("a", "b")] * 4


def test_a_repeated_run_trains_nothing_and_a_new_loss_weight_only_the_last_stage(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(scans, tmp_path / "members", LOW)
    before = tree(tmp_path / "members")
    log = record_training(monkeypatch)
    train(scans, tmp_path / "members", LOW)
    assert log.count() == 0
    train(scans, tmp_path / "members", LOW, HIGH)
    assert log.count() == log.count(4) == 2
    after = tree(tmp_path / "members")
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + 2


def test_the_order_of_training_changes_no_weight(tmp_path: Path, scans: list[PreparedScan]) -> None:
    for name, weights in (("up", [LOW, HIGH]), ("down", [HIGH, LOW])):
        for weight in weights:
            train(scans, tmp_path / name, weight)
    assert tree(tmp_path / "up") == tree(tmp_path / "down")


@pytest.mark.parametrize("stages", [1, 3, 6])
def test_a_run_that_breaks_off_goes_on_where_it_was(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch, stages: int
) -> None:
    train(scans, tmp_path / "whole", LOW, HIGH)

    def interrupt(*_: object, **figures: float) -> None:
        if log.count() > stages:
            raise KeyboardInterrupt

    log = record_training(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        train(scans, tmp_path / "broken", LOW, HIGH, progress=interrupt)
    assert len(tree(tmp_path / "broken")) == stages
    log.stages.clear()
    train(scans, tmp_path / "broken", LOW, HIGH)
    assert log.count() == 10 - stages
    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")


def test_progress_counts_every_step_of_the_whole_run(tmp_path: Path, scans: list[PreparedScan]) -> None:
    reports: list[tuple[str, int, int, dict[str, float]]] = []

    def progress(stage: str, done: int, total: int, /, **figures: float) -> None:
        reports.append((stage, done, total, figures))

    train(scans, tmp_path / "members", LOW)
    train(scans, tmp_path / "members", LOW, HIGH, progress=progress)
    # Two folds miss one stage of two steps each.
    assert [report[:3] for report in reports] == [("training", 2, 4), ("training", 4, 4)]
    assert [report[3]["fold"] for report in reports] == [1, 2]
    assert all(report[3]["w_lesion"] == 1.0 and report[3]["loss"] > 0 for report in reports)


def test_a_trained_member_is_loaded_for_use(tmp_path: Path, scans: list[PreparedScan]) -> None:
    train(scans, tmp_path / "members", LOW, HIGH)
    (low, high, *_), store = members(scans, LOW, HIGH), CheckpointStore(tmp_path / "members")
    low, again, high = (load_member(job, store, device=CPU) for job in (low, low, high))
    assert not low.training
    image = torch.rand(1, 1, 8, 8, 8)
    with torch.inference_mode():
        assert torch.equal(low(image), again(image))
        assert not torch.equal(low(image), high(image))


def test_progress_counts_on_where_an_earlier_training_of_the_run_ended(
    tmp_path: Path, scans: list[PreparedScan]
) -> None:
    reports: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int, /, **figures: float) -> None:
        reports.append((done, total))

    store, steps = CheckpointStore(tmp_path), 0
    for weight in (LOW, HIGH):
        jobs = members(scans, weight)
        steps = train_members(jobs, store, executor=InProcess(), device=CPU, progress=progress, steps_before=steps)
    # Two folds of four stages, then one stage more for each; two steps a stage.
    assert (reports[-1], steps) == ((20, 20), 20)
    assert [done for done, _ in reports] == sorted({done for done, _ in reports})
    assert (16, 16) in reports


def test_a_member_that_comes_twice_is_trained_once(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    train(scans, tmp_path, LOW, LOW)
    assert log.count() == 2 * 4


def test_another_process_trains_the_same_weights(tmp_path: Path, scans: list[PreparedScan]) -> None:
    first, second, *_ = members(scans, LOW, HIGH)
    # What was read before is mapped anew by the other process, and not sent to it.
    assert first.fold.training[0].image.any()
    here, there = CheckpointStore(tmp_path / "here"), CheckpointStore(tmp_path / "there")
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        paths = [pool.submit(train_member, job, there, device=CPU, progress=silent).result() for job in (first, second)]
    for job in (first, second):
        train_member(job, here, device=CPU, progress=silent)
    assert paths == [there.path(first.key), there.path(second.key)]
    assert len(tree(tmp_path / "here")) == 5
    assert tree(tmp_path / "here") == tree(tmp_path / "there")


class InAnyOrder:
    """Starts whatever may start, the last first."""

    def __init__(self) -> None:
        self.order: list[int] = []

    def run(self, works: Sequence[Work]) -> Iterator[Any]:
        waiting, results = list(range(len(works))), {}
        while waiting:
            number = max(one for one in waiting if works[one].after is None or works[one].after in results)
            waiting.remove(number)
            self.order.append(number)
            results[number] = works[number].call(progress=works[number].progress)
        yield from (results[number] for number in range(len(works)))


def test_an_executor_may_choose_any_order_that_the_shared_stages_allow(
    tmp_path: Path, scans: list[PreparedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(scans, tmp_path / "in order", LOW, MIDDLE, HIGH)
    log, executor = record_training(monkeypatch), InAnyOrder()
    store = CheckpointStore(tmp_path / "any order")
    reports: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int, /, **figures: float) -> None:
        reports.append((done, total))

    jobs = members(scans, LOW, MIDDLE, HIGH)
    train_members(jobs, store, executor=executor, device=CPU, progress=progress)
    assert executor.order == [3, 5, 4, 0, 2, 1]
    assert [log.count(number) for number in (1, 2, 3, 4)] == [2, 2, 2, 6]
    assert reports[-1] == (24, 24)
    assert tree(tmp_path / "any order") == tree(tmp_path / "in order")
    # With the shared stages there, nothing waits.
    executor.order.clear()
    train_members(members(scans, (2.0,), (3.0,)), store, executor=executor, device=CPU, progress=silent)
    assert executor.order == [3, 2, 1, 0]
