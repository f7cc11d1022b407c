"""Cross-validated calibration errors, against heatmaps that are made and compared voxel by voxel."""

from functools import reduce
from operator import add

import numpy as np
import pytest

from lib.calibration.statistics.probability_counts import count_probabilities
from lib.metrics.calibration_error import calibration_errors
from lib.publication.fold_calibration import calibration_error_by_scan
from tests.tiny_training import Trained


def test_errors_are_those_of_a_calibration_that_has_not_seen_the_fold(trained: Trained) -> None:
    generation = trained.generation
    errors = calibration_error_by_scan(generation)
    assert set(errors) == {scan.name for scan in trained.scans}
    for name, error in errors.items():
        fold = generation.fold_of_patient[name]
        others = [
            generation.statistics_of(scan.name)
            for scan in trained.scans
            if generation.fold_of_patient[scan.patient] != fold
        ]
        coefficients = np.array(generation.task.calibrator.fit(reduce(add, others)).coefficients)  # type: ignore[attr-defined]
        patterns = generation.statistics_of(name).patterns
        probability, truth = [], []
        for code, (voxels, foreground) in enumerate(zip(patterns.voxels[0], patterns.foreground[0], strict=True)):
            value = sum(coefficients[0, bit] for bit in range(patterns.members) if code >> bit & 1)
            if value > 0:
                probability += [min(value, 1.0)] * voxels
                truth += [True] * foreground + [False] * (voxels - foreground)
        counts = count_probabilities(np.array(probability, float), np.array(truth, bool))
        assert error == pytest.approx(calibration_errors(counts.in_error_bins()[None])[0], nan_ok=True)
