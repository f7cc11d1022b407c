"""What names a member: no change of the code may change the key of what is trained already."""

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lib.preprocessing.plan import Plan
from lib.preprocessing.prepared_scans import PreparedScan
from lib.training.member_job import MemberJob, member_jobs
from tests.lib.frozen_labels import frozen_folds, frozen_task
from tests.tiny_training import a_plan, a_task, two_folds

QUICK = {"iterations": 8, "batch_size": 1}


@pytest.fixture
def scans() -> list[PreparedScan]:
    return [PreparedScan(name, patient=name, digest=name, folder=Path("nowhere")) for name in "abcd"]


def keys(scans: Sequence[PreparedScan], *, plan: Plan | None = None, **others: Any) -> list[str]:
    """Keys of the members of both folds at one loss weight."""
    task = a_task(training=QUICK | others.pop("training", {}), **others.pop("settings", {}))
    jobs = member_jobs(task, plan or a_plan(patch_size=(8, 8, 8)), two_folds(scans), [(0.0,)])
    return [job.key for (job,) in jobs]


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


@pytest.fixture
def job() -> MemberJob:
    ((job,),) = member_jobs(frozen_task(), a_plan(), frozen_folds()[1:], [(-2.0, -0.5)])
    return job


def test_keys_are_those_under_which_members_were_kept_before_jobs_existed(job: MemberJob) -> None:
    """Literal, from `CrossValidation._keys` of commit 0575705: others would have every user train again."""
    assert job.keys == (
        "e8882b0290521dee4dfb5da81ed2fc2d3444d23e9895df77ccfb503940a6648c",
        "13a91a6d44e06c635ea52e3ad030f079d83768c0197bc54640e74329256c706d",
        "0a55b9c3c9edd9c961b9758cf5d94487f89b92c0d10736dc7ccfb237f57475f6",
        "192dacefb6219da90174580ef0deef9f63badbcb2e2efd33a7a4ce2a4f0b9135",
    )
    assert job.key == job.keys[-1]


def test_stages_are_seeded_by_their_keys_and_the_last_alone_has_the_loss_weight(job: MemberJob) -> None:
    assert [stage.number for stage in job.stages] == [1, 2, 3, 4]
    assert [stage.loss_weight for stage in job.stages] == [(0.0, 0.0)] * 3 + [(-2.0, -0.5)]
    assert [stage.seed for stage in job.stages] == [int(key[:8], 16) % 2**31 for key in job.keys]


def test_a_job_is_the_same_after_a_journey(job: MemberJob) -> None:
    assert job.key
    arrived = pickle.loads(pickle.dumps(job))
    assert arrived == job
    assert hash(arrived) == hash(job)
    assert arrived.keys == job.keys
