"""Keys of generations: no change of the code may change those of what is published already."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lib.ensemble_training.generation_keys import GenerationKeys, generation_keys
from lib.ensemble_training.labelled_set import LabelledSet
from lib.models.kinds.method import Method
from lib.models.kinds.registry import KINDS
from lib.task.task import Task
from tests.lib.frozen_labels import FOLD_OF_PATIENT, frozen_scans, frozen_task
from tests.tiny_training import a_plan

LABELLED = LabelledSet(a_plan(), (1.0, 2.0), tuple(frozen_scans()), FOLD_OF_PATIENT, {}, {})


def keys(task: Task, method: Method = Method.CALIBRATED, labelled: LabelledSet = LABELLED) -> GenerationKeys:
    return generation_keys(KINDS[method].settings(task), method, labelled)


@pytest.mark.parametrize(
    ("method", "key"),
    [
        (Method.CALIBRATED, "16f5ebb8c3e3af2bb884ae925fd0b382da6969acd427591194ca27877577c668"),
        (Method.SEEDS, "c1e37da65b048fe49fdc057334e8132502689186e9bf48df846f10c9df64107d"),
        (Method.DROPOUT, "fdf50e733ba4b07a1cd916cb3cbfa83386e135d8f31ff62f70be130e922b525d"),
    ],
)
def test_keys_are_those_of_generations_that_were_published_before(method: Method, key: str) -> None:
    """Literal, from commit 0575705."""
    found = keys(frozen_task(), method)
    assert found.generation == key
    assert found.labels == "26e313f8a68756b906d2b0c23ffd1380f2e2f6b3999300312f9c2b78fd4f9998"


@pytest.mark.parametrize(
    ("change", "same_labels"),
    [
        (lambda task: task.model_copy(update={"seed": 1}), True),
        (lambda task: task.model_copy(update={"heatmap": "soft"}), True),
        (lambda task: task.model_copy(update={"labels": {"tumour": 1, "cyst": 4}}), False),
        (lambda task: task.model_copy(update={"region": "organ"}), False),
    ],
)
def test_settings_change_the_key_and_those_of_the_labels_alone_the_other(
    change: Callable[[Task], Task], same_labels: bool
) -> None:
    before, after = keys(frozen_task()), keys(change(frozen_task()))
    assert before.generation != after.generation
    assert (before.labels == after.labels) is same_labels


def test_a_changed_label_changes_both_and_the_order_of_scans_neither() -> None:
    first, *others = LABELLED.scans
    assert keys(frozen_task(), labelled=replace(LABELLED, scans=(*others, first))) == keys(frozen_task())
    changed = keys(frozen_task(), labelled=replace(LABELLED, scans=(replace(first, digest="other"), *others)))
    assert changed.generation != keys(frozen_task()).generation
    assert changed.labels != keys(frozen_task()).labels
