import pytest

from benchmarks.active_learning.choice import Strategy
from benchmarks.active_learning.round_records import Round
from tests.benchmarks.active_learning.made_up_rounds import a_round


@pytest.fixture
def rounds() -> list[Round]:
    shifts = {Strategy.LEAST_CERTAIN: 0.05, Strategy.RANDOM: 0.0}
    return [
        a_round(seed, strategy, number, shift=shift)
        for seed in range(3)
        for strategy, shift in shifts.items()
        for number in range(3)
    ]
