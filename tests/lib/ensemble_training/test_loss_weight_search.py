"""The search for w^DSC, climbing a table of mean DSC instead of training."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.ensemble_training.loss_weight_search import search_w_dsc
from lib.training.loss import LossWeight

GRID = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]

Table = Callable[[float], list[float]]
"""Mean DSC of each class at a loss weight."""


class MeanDice:
    """Stands in for training and evaluation: gives what a table says, and remembers what it was asked for."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rounds: list[list[float]] = []

    def __call__(self, weights: Sequence[LossWeight]) -> list[np.ndarray]:
        assert all(len(set(weight)) == 1 for weight in weights)
        self.rounds.append([weight[0] for weight in weights])
        return [np.array(self.table(weight)) for weight in self.rounds[-1]]


def search(table: Table, *, classes: int = 1) -> tuple[tuple[float, ...], list[float]]:
    """The result for a table, and the loss weights that were trained on the way."""
    mean_dice = MeanDice(table)
    found = search_w_dsc(mean_dice, classes=classes)
    return found, [weight for weights in mean_dice.rounds for weight in weights]


@pytest.mark.parametrize("best", GRID)
def test_the_search_climbs_to_the_best_loss_weight(best: float) -> None:
    found, trained = search(lambda w: [0.8 - 0.05 * abs(w - best)])
    assert found == (best,)
    assert len(trained) == len(set(trained))
    # The neighbours on both sides and the way there, nothing beyond.
    assert min(trained) == max(-3.0, min(-1.0, best - 1))
    assert max(trained) == min(3.0, max(1.0, best + 1))


def test_every_class_takes_its_own_best() -> None:
    found, trained = search(lambda w: [-((w + 2) ** 2), -((w - 1) ** 2), -abs(w)], classes=3)
    assert found == (-2.0, 1.0, 0.0)
    assert sorted(trained) == [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0]


def test_the_search_does_not_leave_the_range() -> None:
    found, trained = search(lambda w: [w, -w], classes=2)
    assert found == (3.0, -3.0)
    assert sorted(trained) == GRID


def test_of_equals_the_neutral_weight_is_taken() -> None:
    assert search(lambda _: [0.5])[0] == (0.0,)
    assert search(lambda w: [0.5 if w in (1.0, 2.0) else 0.4])[0] == (1.0,)


def test_a_class_that_no_scan_holds_stays_neutral() -> None:
    """It is NaN where nobody predicts it, and 0 where a sensitive member does."""
    found, _ = search(lambda w: [0.5 + 0.1 * w, 0.0 if w < 0 else np.nan], classes=2)
    assert found == (3.0, 0.0)


@given(st.lists(st.integers(0, 1000), min_size=7, max_size=7), st.integers(0, 6))
def test_no_neighbour_of_the_result_is_better(dice: list[int], peak: int) -> None:
    table = dict(zip(GRID, (value / 1000 for value in dice), strict=True))
    (found,), trained = search(lambda w: [table[w]])
    assert {found - 1, found, found + 1} & set(GRID) <= set(trained)
    assert table[found] == max(table[weight] for weight in trained)


def test_the_weights_around_0_are_trained_first_and_together_and_no_more_than_needed() -> None:
    mean_dice = MeanDice(lambda w: [w])
    search_w_dsc(mean_dice, classes=1)
    assert mean_dice.rounds == [[-1.0, 0.0, 1.0], [2.0], [3.0]]
