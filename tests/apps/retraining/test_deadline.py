"""Ending in time."""

import pytest

from apps.calibrated_ensemble.retraining.deadline import Deadline, OutOfTimeError

HOUR = 3600.0


def test_work_goes_on_until_the_time_is_over_and_a_finished_stage_is_never_cut_short() -> None:
    told: list[tuple[str, int, int, dict[str, float]]] = []
    moments = iter([0.0, HOUR, HOUR + 1])
    deadline = Deadline(
        lambda stage, done, total, /, **figures: told.append((stage, done, total, figures)),
        1.0,
        clock=lambda: next(moments),
    )
    deadline("training", 1, 3, loss=0.5)
    deadline("training", 3, 3)
    with pytest.raises(OutOfTimeError):
        deadline("scoring", 1, 2)
    assert told == [("training", 1, 3, {"loss": 0.5}), ("training", 3, 3, {}), ("scoring", 1, 2, {})]


def test_without_hours_there_is_no_end() -> None:
    deadline = Deadline(lambda *_, **__: None, None, clock=lambda: float("inf"))
    deadline("training", 1, 3)
