"""How well estimates of the DSC agree with the true DSC."""

import warnings

import numpy as np
from scipy.stats import ConstantInputWarning, pearsonr, rankdata


def agreement_metrics(estimated: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """Distance between estimates and truth.

    Args:
        estimated: estimated DSC, 0..1, shape (..., n), n >= 1.
        true: true DSC, 0..1, same shape.

    Returns:
        Arrays of shape (...): `mae` mean absolute error, `rmse` root of the mean squared error, and
        `bias` mean of estimate minus truth.
    """
    difference = estimated - true
    return {
        "mae": np.abs(difference).mean(axis=-1),
        "rmse": np.sqrt(np.square(difference).mean(axis=-1)),
        "bias": difference.mean(axis=-1),
    }


def ranking_metrics(confidence: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """Agreement of an order with the truth, for any confidence that grows with the DSC, whatever its unit.

    Args:
        confidence: shape (..., n), n >= 1.
        true: true DSC, 0..1, same shape.

    Returns:
        Arrays of shape (...): `pearson` and `spearman` correlation, NaN where one side is constant or n is
        below 2; and `aurc`, see `risk_coverage_area`.
    """
    return {
        "pearson": _correlation(confidence, true),
        "spearman": _correlation(rankdata(confidence, axis=-1), rankdata(true, axis=-1)),
        "aurc": risk_coverage_area(confidence, true),
    }


def risk_coverage_area(confidence: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Area under the risk-coverage curve: mean risk of the k most confident scans, averaged over k.

    The risk of a scan is 1 - DSC. An order without information gives the mean risk of all scans; scans
    of equal confidence count as the average over all their orders.

    Args:
        confidence: shape (..., n), n >= 1.
        true: true DSC, 0..1, same shape.

    Returns:
        Shape (...), 0..1; NaN where a confidence is.
    """
    order = np.argsort(-confidence, axis=-1, kind="stable")
    sorted_confidence = np.take_along_axis(confidence, order, axis=-1)
    risk = np.take_along_axis(1 - true, order, axis=-1)
    shape = risk.shape
    starts = np.ones(shape, bool)
    starts[..., 1:] = sorted_confidence[..., 1:] != sorted_confidence[..., :-1]
    # The expected order of ties gives each of them their mean risk.
    group = np.cumsum(starts.ravel()) - 1
    mean_of_group = np.bincount(group, risk.ravel()) / np.bincount(group)
    cumulated = np.cumsum(mean_of_group[group].reshape(shape), axis=-1)
    area = (cumulated / np.arange(1, shape[-1] + 1)).mean(axis=-1)
    return np.where(np.isnan(confidence).any(axis=-1), np.nan, area)


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    if first.shape[-1] < 2:
        return np.full(first.shape[:-1], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        return np.asarray(pearsonr(first, second, axis=-1).statistic)
