import numpy as np

from scoring.strategies.random_order import RandomOrder, random_position
from scoring.strategies.strategy import Candidates


def test_random_positions_are_fixed_for_all_time_and_fit_a_signed_integer() -> None:
    # From `printf 0:a | b2sum -l 64`, and so on; another hash would reshuffle the queue of everyone who upgrades.
    assert random_position(0, "a") == 0xBDE152EAF93EDEE5 >> 1
    assert random_position(1, "a") == 0x9524A66F480A89F3 >> 1
    assert random_position(0, "b") == 0x6209D0AF1014CEE9 >> 1
    assert all(0 <= random_position(seed, str(seed)) < 2**63 for seed in range(1000))


def test_random_positions_spread_evenly() -> None:
    places = [random_position(3, f"scan_{i:05d}") / 2**63 for i in range(4000)]
    counts = [sum(i / 8 <= place < (i + 1) / 8 for place in places) for i in range(8)]
    assert all(430 < count < 570 for count in counts)  # 500 expected, standard deviation 21


def test_priorities_are_the_positions_as_fractions() -> None:
    priorities = RandomOrder(seed=1).priorities(Candidates(["a", "b"]))
    assert priorities.dtype == np.float64
    assert priorities.tolist() == [random_position(1, "a") / 2**63, random_position(1, "b") / 2**63]


def test_a_scan_keeps_its_priority_whatever_is_listed_beside_it() -> None:
    alone, among = (RandomOrder(seed=0).priorities(Candidates(names)) for names in (["b"], ["a", "b", "c"]))
    assert alone[0] == among[1]


def test_nothing_listed_gives_no_priorities() -> None:
    assert RandomOrder(seed=0).priorities(Candidates([])).shape == (0,)
