"""Errors of estimates against scikit-learn, SciPy and an average over all orders."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from lib.metrics.estimate_errors import agreement_metrics, ranking_metrics, risk_coverage_area


def estimates(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    true = rng.beta(5, 2, 30)
    return np.clip(true + rng.normal(scale=0.1, size=30), 0, 1), true


def test_errors_are_scikit_learns() -> None:
    estimated, true = estimates()
    measures = agreement_metrics(estimated, true)
    assert measures["mae"] == pytest.approx(mean_absolute_error(true, estimated))
    assert measures["rmse"] == pytest.approx(root_mean_squared_error(true, estimated))
    assert measures["bias"] == pytest.approx(estimated.mean() - true.mean())


def test_correlations_are_scipys_also_with_ties() -> None:
    estimated, true = estimates()
    true[:6] = 1
    measures = ranking_metrics(estimated, true)
    assert measures["pearson"] == pytest.approx(pearsonr(estimated, true).statistic)
    assert measures["spearman"] == pytest.approx(spearmanr(estimated, true).statistic)


def test_rows_are_measured_each_by_itself() -> None:
    rows = [estimates(seed) for seed in range(3)]
    estimated, true = (np.stack(part) for part in zip(*rows, strict=True))
    together = agreement_metrics(estimated, true) | ranking_metrics(estimated, true)
    for number, row in enumerate(rows):
        alone = agreement_metrics(*row) | ranking_metrics(*row)
        for key, value in alone.items():
            assert together[key][number] == pytest.approx(value)


def test_a_constant_has_no_correlation_and_the_mean_risk() -> None:
    _, true = estimates()
    measures = ranking_metrics(np.full(30, 0.7), true)
    assert np.isnan(measures["pearson"])
    assert np.isnan(measures["spearman"])
    assert measures["aurc"] == pytest.approx(1 - true.mean())


def test_one_scan_has_errors_but_no_correlation() -> None:
    assert np.isnan(ranking_metrics(np.array([0.5]), np.array([0.6]))["pearson"])
    assert ranking_metrics(np.array([0.5]), np.array([0.6]))["aurc"] == pytest.approx(0.4)
    assert agreement_metrics(np.array([0.5]), np.array([0.6]))["mae"] == pytest.approx(0.1)


@given(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.floats(0, 1)), min_size=1, max_size=5))
def test_the_risk_coverage_area_of_ties_is_the_average_over_their_orders(scans: list[tuple[float, float]]) -> None:
    areas = []
    for order in permutations(scans):
        if [confidence for confidence, _ in order] == sorted((c for c, _ in scans), reverse=True):
            risks = [1 - true for _, true in order]
            areas.append(np.mean([np.mean(risks[:k]) for k in range(1, len(risks) + 1)]))
    confidence, true = np.array(scans).T
    assert risk_coverage_area(confidence, true) == pytest.approx(np.mean(areas))


def test_the_best_order_has_the_least_area_and_the_worst_the_most() -> None:
    _, true = estimates()
    best, worst = risk_coverage_area(true, true), risk_coverage_area(-true, true)
    noisy = risk_coverage_area(true + np.random.default_rng(5).normal(scale=0.2, size=30), true)
    assert best < noisy < worst


def test_an_unknown_confidence_has_no_area() -> None:
    assert np.isnan(risk_coverage_area(np.array([0.4, np.nan]), np.array([0.5, 0.6])))
