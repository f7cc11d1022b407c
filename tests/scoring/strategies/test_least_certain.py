import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from scoring.strategies.least_certain import LeastCertain
from scoring.strategies.strategy import Candidates, serving_order


def priorities(estimates: np.ndarray) -> np.ndarray:
    return LeastCertain().priorities(Candidates([f"scan_{index}" for index in range(len(estimates))], estimates))


def test_scans_rank_by_mean_estimate_and_ties_by_their_place() -> None:
    estimates = {"d": (0.9, 0.5), "a": (0.1, 0.9), "c": (0.7, 0.7), "b": (0.9, 0.1)}
    ranked = serving_order(priorities(np.array(list(estimates.values()))))
    assert [list(estimates)[index] for index in ranked] == ["a", "b", "d", "c"]


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=4), elements=st.floats(0, 1, width=32)))
def test_a_scan_has_the_same_priority_alone_as_among_others(estimates: np.ndarray) -> None:
    together = priorities(estimates)
    assert together.dtype == np.float64
    assert [priorities(estimates[index : index + 1])[0] for index in range(len(estimates))] == together.tolist()


def test_needs_estimates() -> None:
    with pytest.raises(ValueError, match="there are no estimates"):
        LeastCertain().priorities(Candidates(["a"]))
