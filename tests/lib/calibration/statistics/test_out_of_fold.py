import numpy as np
import pytest

from lib.calibration.statistics.out_of_fold import OutOfFoldStatistics, reduce_outputs
from lib.calibration.statistics.probability_counts import BINS, count_probabilities
from lib.calibration.statistics.soft_moments import sum_moments
from lib.calibration.statistics.thresholds import FAINTEST
from lib.calibration.statistics.vote_patterns import count_patterns

SHAPE = (6, 5, 4)


def a_scan(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Foreground softmax of three members for two classes, their segmentations, and a label."""
    rng = np.random.default_rng(seed)
    softmax = np.moveaxis(rng.dirichlet([3, 0.1, 0.1], (3, *SHAPE)), -1, 1).astype(np.float32)
    return softmax[:, 1:], softmax.argmax(axis=1).astype(np.uint8), rng.integers(0, 3, SHAPE, np.uint8)


def assert_equal(one: OutOfFoldStatistics, other: OutOfFoldStatistics) -> None:
    first, second = one.to_arrays(), other.to_arrays()
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-12, err_msg=name)


def test_a_scan_is_reduced_to_patterns_softmax_at_w_dsc_and_moments() -> None:
    softmax, segmentations, label = a_scan(0)
    statistics = reduce_outputs(softmax, segmentations, label, served=2)
    patterns = count_patterns(segmentations, label, class_count=2)
    np.testing.assert_array_equal(statistics.patterns.voxels, patterns.voxels)
    np.testing.assert_array_equal(statistics.patterns.foreground, patterns.foreground)
    for index, counts in enumerate(statistics.softmax):
        p, y = softmax[2, index].ravel(), label.ravel() == index + 1
        expected = count_probabilities(p[p >= FAINTEST], y[p >= FAINTEST])
        np.testing.assert_array_equal(counts.voxels, expected.voxels)
        np.testing.assert_array_equal(counts.foreground, expected.foreground)
        assert 0 < counts.voxels.sum() < label.size
        assert counts.squared_error == pytest.approx(np.square(p - y)[p >= FAINTEST].sum(), rel=1e-5)
    expected = sum_moments(softmax.reshape(3, 2, -1), label.ravel())
    np.testing.assert_allclose(statistics.moments.products, expected.products)


def test_voxels_outside_the_region_count_for_nothing() -> None:
    softmax, segmentations, label = a_scan(1)
    region = np.zeros(SHAPE, bool)
    region[1:5, :, 1:3] = True
    inside = np.s_[..., 1:5, :, 1:3]
    bounded = reduce_outputs(softmax, segmentations, label, served=0, region=region)
    assert_equal(bounded, reduce_outputs(softmax[inside], segmentations[inside], label[inside], served=0))
    nowhere = reduce_outputs(softmax, segmentations, label, served=0, region=np.zeros(SHAPE, bool))
    assert_equal(nowhere, OutOfFoldStatistics.zeros(2, 3))


def test_statistics_of_scans_add_up_to_those_of_all_their_voxels() -> None:
    first, second = a_scan(2), a_scan(3)
    together = [np.concatenate(arrays, axis=-1) for arrays in zip(first, second, strict=True)]
    total = OutOfFoldStatistics.zeros(2, 3) + reduce_outputs(*first, served=1) + reduce_outputs(*second, served=1)
    assert_equal(total, reduce_outputs(*together, served=1))


def test_statistics_are_read_back_as_they_were_written() -> None:
    statistics = reduce_outputs(*a_scan(4), served=1)
    read = OutOfFoldStatistics.from_arrays(statistics.to_arrays())
    assert_equal(read, statistics)
    assert isinstance(read.softmax[0].squared_error, float)
    assert read.patterns.voxels.dtype == np.int64


def test_arrays_of_another_layout_are_refused() -> None:
    arrays = OutOfFoldStatistics.zeros(1, 2).to_arrays()
    for name in arrays:
        with pytest.raises((KeyError, ValueError)):
            OutOfFoldStatistics.from_arrays({key: array for key, array in arrays.items() if key != name})
    with pytest.raises(ValueError, match=rf"softmax counts have shape \(1, 10\); give \(classes, {BINS}\)"):
        OutOfFoldStatistics.from_arrays(arrays | {"softmax_voxels": np.zeros((1, 10))})
