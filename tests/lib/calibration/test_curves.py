"""Softmax on the curves of its classes, whatever fitted them."""

import numpy as np
import pytest

from lib.calibration.curves import map_softmax
from lib.calibration.statistics.thresholds import FAINTEST
from tests.lib.calibration.samples import some_softmax


def test_each_fold_is_put_on_the_curve_of_the_class_before_the_mean():
    softmax = some_softmax(1, 3, 3, 4, 5)
    h = map_softmax(softmax, [np.sqrt, np.square])
    assert (h.shape, h.dtype) == ((2, 4, 5), np.float32)
    for c, x, y in np.ndindex(h.shape):
        curve = (np.sqrt, np.square)[c]
        folds = [curve(p) if p >= FAINTEST else 0 for p in softmax[:, c + 1, x, y].astype(float)]
        assert h[c, x, y] == pytest.approx(np.mean(folds), abs=1e-6)


def test_thirds_of_certain_folds_sum_to_no_more_than_1():
    certain = np.ones((3, 2, 5), np.float32)
    assert map_softmax(certain, [np.ones_like]).max() == 1


def test_a_class_without_curve_is_zero():
    h = map_softmax(np.ones((2, 3, 5), np.float32), [None, np.ones_like])
    np.testing.assert_allclose(h, [[0] * 5, [1] * 5])


def test_softmax_that_fits_no_curves_is_refused():
    with pytest.raises(ValueError, match=r"1 curves need \(folds, 2, \*grid\)"):
        map_softmax(np.zeros((2, 3, 5), np.float32), [np.sqrt])
