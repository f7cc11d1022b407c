import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.calibration.statistics.soft_moments import SoftMoments, sum_moments
from lib.calibration.statistics.thresholds import FAINTEST


def voxels(seed: int, count: int, *, members: int = 3, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    softmax = rng.beta(0.1, 0.5, (members, classes, count)).astype(np.float32)
    return softmax, rng.integers(0, classes + 1, count).astype(np.uint8)


def by_loop(softmax: np.ndarray, truth: np.ndarray) -> SoftMoments:
    members, classes, count = softmax.shape
    moments = SoftMoments.zeros(classes, members)
    for c in range(classes):
        for i in range(count):
            p = softmax[:, c, i].astype(float)
            if any(p >= FAINTEST):
                moments.products[c] += np.outer(p, p)
                moments.matches[c] += p * (truth[i] == c + 1)
                moments.foreground[c] += truth[i] == c + 1
    return moments


@given(st.integers(0, 2**32 - 1), st.integers(0, 50), st.integers(0, 50))
def test_moments_are_sums_over_the_voxels_of_all_scans(seed: int, first: int, second: int) -> None:
    softmax, truth = voxels(seed, first + second)
    total = sum_moments(softmax[..., :first], truth[:first]) + sum_moments(softmax[..., first:], truth[first:])
    expected = by_loop(softmax, truth)
    np.testing.assert_allclose(total.products, expected.products, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(total.matches, expected.matches, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(total.foreground, expected.foreground)


def test_faint_voxels_count_for_nothing() -> None:
    softmax, truth = voxels(0, 50)
    moments = sum_moments(softmax * FAINTEST / 2, truth)
    assert not any(array.any() for array in moments.to_arrays().values())


def test_moments_are_read_back_as_they_were_written() -> None:
    moments = sum_moments(*voxels(1, 30))
    read = SoftMoments.from_arrays(moments.to_arrays())
    for name, array in moments.to_arrays().items():
        np.testing.assert_array_equal(read.to_arrays()[name], array)


@pytest.mark.parametrize("name", ["products", "matches", "foreground"])
def test_arrays_that_do_not_fit_each_other_are_refused(name: str) -> None:
    arrays = SoftMoments.zeros(2, 3).to_arrays()
    with pytest.raises(ValueError, match="soft moments have shapes"):
        SoftMoments.from_arrays(arrays | {name: np.zeros((2, 2))})
    with pytest.raises(KeyError):
        SoftMoments.from_arrays({key: array for key, array in arrays.items() if key != name})
