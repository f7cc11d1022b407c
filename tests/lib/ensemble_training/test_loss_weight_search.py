"""The search for w^DSC, climbing a table of mean DSC instead of training."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lib.training.member_keys import LossWeight

from lib.ensemble_training import loss_weight_search
from lib.ensemble_training.loss_weight_search import search_w_dsc
from lib.ensemble_training.out_of_fold import ScanEvaluation
from lib.progress import silent
from lib.task.task import Task
from tests.tiny_training import a_task

GRID = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]

Table = Callable[[float], list[float]]
"""Mean DSC of each class at a loss weight."""


class TrainsNothing:
    """Stands in for a `CrossValidation` whose members are never run."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.trained: list[float] = []

    def train(self, weights: Sequence[LossWeight]) -> None:
        for weight in weights:
            assert len(set(weight)) == 1
            self.trained.append(weight[0])


def search(monkeypatch: pytest.MonkeyPatch, table: Table, *, classes: int = 1) -> tuple[tuple[float, ...], list[float]]:
    """The result for a table, and the loss weights that were trained on the way."""
    labels = {f"class_{number}": number + 1 for number in range(classes)}
    stand_in = TrainsNothing(a_task(labels=labels, w_dsc="auto"))

    def evaluate(cross_validation: object, weights: Sequence[LossWeight], **_: object) -> list[ScanEvaluation]:
        ((weight, *_),) = weights
        assert weight in stand_in.trained
        # Two scans whose mean is that of the table.
        return [
            ScanEvaluation(name, 0, np.array([table(weight)]) + change, Path("nowhere"))
            for name, change in (("a", 0.01), ("b", -0.01))
        ]

    monkeypatch.setattr(loss_weight_search, "evaluate_out_of_fold", evaluate)
    found = search_w_dsc(stand_in, folder=Path("nowhere"), progress=silent)
    return found, stand_in.trained


@pytest.mark.parametrize("best", GRID)
def test_the_search_climbs_to_the_best_loss_weight(monkeypatch: pytest.MonkeyPatch, best: float) -> None:
    found, trained = search(monkeypatch, lambda w: [0.8 - 0.05 * abs(w - best)])
    assert found == (best,)
    assert len(trained) == len(set(trained))
    # The neighbours on both sides and the way there, nothing beyond.
    assert min(trained) == max(-3.0, min(-1.0, best - 1))
    assert max(trained) == min(3.0, max(1.0, best + 1))


def test_every_class_takes_its_own_best(monkeypatch: pytest.MonkeyPatch) -> None:
    found, trained = search(monkeypatch, lambda w: [-((w + 2) ** 2), -((w - 1) ** 2), -abs(w)], classes=3)
    assert found == (-2.0, 1.0, 0.0)
    assert sorted(trained) == [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]


def test_the_search_does_not_leave_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    found, trained = search(monkeypatch, lambda w: [w, -w], classes=2)
    assert found == (3.0, -3.0)
    assert sorted(trained) == GRID


def test_of_equals_the_neutral_weight_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert search(monkeypatch, lambda _: [0.5])[0] == (0.0,)
    assert search(monkeypatch, lambda w: [0.5 if w in (1.0, 2.0) else 0.4])[0] == (1.0,)


def test_a_class_that_no_scan_holds_stays_neutral(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is NaN where nobody predicts it, and 0 where a sensitive member does."""
    found, _ = search(monkeypatch, lambda w: [0.5 + 0.1 * w, 0.0 if w < 0 else np.nan], classes=2)
    assert found == (3.0, 0.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 1000), min_size=7, max_size=7), st.integers(0, 6))
def test_no_neighbour_of_the_result_is_better(monkeypatch: pytest.MonkeyPatch, dice: list[int], peak: int) -> None:
    table = dict(zip(GRID, (value / 1000 for value in dice), strict=True))
    (found,), trained = search(monkeypatch, lambda w: [table[w]])
    assert {found - 1, found, found + 1} & set(GRID) <= set(trained)
    assert table[found] == max(table[weight] for weight in trained)


def test_the_real_search_trains_what_it_needs_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights around 0 first, together."""
    rounds: list[list[float]] = []
    monkeypatch.setattr(
        TrainsNothing,
        "train",
        lambda self, weights: rounds.append([w for (w,) in weights]) or self.trained.extend(rounds[-1]),
    )
    search(monkeypatch, lambda w: [w])
    assert rounds == [[-1.0, 0.0, 1.0], [2.0], [3.0]]
