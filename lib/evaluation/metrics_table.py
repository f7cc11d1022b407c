"""From the statistics of single scans to the figures of `metrics.json`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lib.calibration.statistics.probability_counts import ReliabilityCounts
from lib.evaluation.compared_heatmaps import Comparison
from lib.evaluation.scan_statistics import ENTROPY, INTERSECTION, INTERSECTION_TRUE, TRUTH, UNION_TRUE, ScanStatistics
from lib.metrics.bootstrap import figure, resample_scans, scan_weights
from lib.metrics.calibration_error import calibration_errors, equal_mass_curve, parzen_curve
from lib.metrics.estimate_errors import agreement_metrics, ranking_metrics
from lib.models.kinds.method import Method
from lib.quality.conformal import conformal_half_width

COVERAGE = 0.9
"""How often the intervals of the estimated DSC promise to hold the true one."""

CONSTANT = "constant"
"""Name of the estimate that knows nothing of the scan."""

_GROWING = ("ece", "ace", "mce")
"""Means of absolute gaps, to which the noise of drawing scans again adds."""

Resampled = dict[str, np.ndarray]
"""Measures by name: the value for the scans as they are, then for each resample, shape (1 + R,)."""


@dataclass(frozen=True)
class ScanTable:
    """Statistics of all scans together; S scans, C classes.

    Attributes:
        true_dsc: for each method, 0..1, shape (S, C).
        estimates: for each estimator, shape (S, C): the heatmaps, `PAIRWISE_DICE`, `ENTROPY` and `CONSTANT`.
        in_error_bins: for each heatmap, see `ReliabilityCounts.in_error_bins`, shape (S, C, 3, bins).
        squared_error: for each heatmap, shape (S, C).
        votes: for each heatmap, see `ScanStatistics.votes`, shape (S, C, 5).
        reliability: for each heatmap and class, counts of all scans.
        seconds: for each heatmap, shape (S,).
    """

    true_dsc: dict[str, np.ndarray]
    estimates: dict[str, np.ndarray]
    in_error_bins: dict[str, np.ndarray]
    squared_error: dict[str, np.ndarray]
    votes: dict[str, np.ndarray]
    reliability: dict[str, tuple[ReliabilityCounts, ...]]
    seconds: dict[str, np.ndarray]


def scan_table(statistics: Iterable[ScanStatistics], constant: Sequence[float | None]) -> ScanTable:
    """Put the statistics of at least one scan together, holding the fine counts of one scan at a time.

    Args:
        statistics: of each scan.
        constant: cross-validated mean DSC of each class, None where it is not known.
    """
    parts: dict[str, list[Mapping[str, Any]]] = {
        part: [] for part in ("true_dsc", "estimates", "bins", "squared", "votes", "seconds")
    }
    reliability: dict[str, tuple[ReliabilityCounts, ...]] = {}
    for one in statistics:
        for name, by_class in one.reliability.items():
            so_far = reliability.get(name, (ReliabilityCounts.zeros(),) * len(by_class))
            reliability[name] = tuple(total + counts for total, counts in zip(so_far, by_class, strict=True))
        parts["bins"].append({n: np.stack([c.in_error_bins() for c in cs]) for n, cs in one.reliability.items()})
        parts["squared"].append({n: [c.squared_error for c in cs] for n, cs in one.reliability.items()})
        for part in ("true_dsc", "estimates", "votes", "seconds"):
            parts[part].append(getattr(one, part))
    stacked = {
        part: {name: np.array([scan[name] for scan in scans]) for name in scans[0]} for part, scans in parts.items()
    }
    known = np.array([np.nan if value is None else value for value in constant])
    return ScanTable(
        true_dsc=stacked["true_dsc"],
        estimates=stacked["estimates"] | {CONSTANT: np.tile(known, (len(parts["seconds"]), 1))},
        in_error_bins=stacked["bins"],
        squared_error=stacked["squared"],
        votes=stacked["votes"],
        reliability=reliability,
        seconds=stacked["seconds"],
    )


def method_of_estimator(collected: ScanTable, comparison: Comparison) -> dict[str, Method]:
    """Give the method whose prediction each estimator judges: that of its own networks, else the served one."""
    own = {name: heatmap.method for name, heatmap in comparison.heatmaps.items()}
    return own | {name: Method.CALIBRATED for name in collected.estimates if name not in own}


def interval_half_widths(out_of_fold: ScanTable | None) -> dict[str, np.ndarray]:
    """Half widths of the intervals around each estimator's values, from out-of-fold scans.

    Args:
        out_of_fold: scans that were trained on, each predicted by the members that have not seen it; None
            where there are none.

    Returns:
        For each estimator of the DSC that out-of-fold scans have, shape (C,), 0 or more; NaN where they are
        too few for the promise.
    """
    if out_of_fold is None:
        return {}
    widths = {}
    for name, estimated in out_of_fold.estimates.items():
        if name != ENTROPY:
            errors = estimated - out_of_fold.true_dsc[Method.CALIBRATED]
            found = [conformal_half_width(of_class, coverage=COVERAGE) for of_class in errors.T]
            widths[name] = np.where(np.isfinite(found), found, np.nan)
    return widths


def compute_metrics(collected: ScanTable, widths: Mapping[str, np.ndarray], comparison: Comparison) -> dict[str, Any]:
    """All figures with their intervals, as fractions of 1, in the layout of `metrics.json`.

    Args:
        collected: the scans.
        widths: from `interval_half_widths`.
        comparison: names the heatmaps and their generations.

    Returns:
        `dice`, `predictions`, `heatmaps`, `estimates`, `seconds_per_scan`; and `differences`, where those
        of heatmaps and estimates are minus those of the served heatmap, on the same resamples.
    """
    classes = comparison.served.task.classes
    scans = len(collected.true_dsc[Method.CALIBRATED])
    indices = resample_scans(scans)
    weights = scan_weights(indices)
    methods = method_of_estimator(collected, comparison)
    heatmaps = {
        name: {label: _heatmap_measures(collected, weights, name, number) for number, label in enumerate(classes)}
        for name in comparison.heatmaps
    }
    estimates = {
        name: {
            label: _estimate_measures(
                collected.estimates[name][:, number][indices],
                collected.true_dsc[method][:, number][indices],
                half_width=float(widths[name][number]) if name in widths else np.nan,
                is_entropy=name == ENTROPY,
            )
            for number, label in enumerate(classes)
        }
        for name, method in methods.items()
    }
    predictions = {
        method: {label: _figures(_mean_and_sd(true[:, number][indices]), scans) for number, label in enumerate(classes)}
        for method, true in collected.true_dsc.items()
    }
    return {
        "dice": predictions[Method.CALIBRATED],
        "predictions": predictions,
        "heatmaps": _with_curves(_described(heatmaps, scans), collected, classes),
        "estimates": _described(estimates, scans),
        "seconds_per_scan": {
            name: figure(seconds[indices].mean(axis=1), count=scans) for name, seconds in collected.seconds.items()
        },
        "differences": {
            "heatmaps": _differences(heatmaps, comparison.reference.name, scans),
            "estimates": _differences(estimates, comparison.reference.name, scans),
        },
    }


def _heatmap_measures(collected: ScanTable, weights: np.ndarray, name: str, number: int) -> Resampled:
    sums = np.tensordot(weights, collected.in_error_bins[name][:, number], axes=1)
    ece, ace, mce = calibration_errors(sums)
    votes = weights @ collected.votes[name][:, number]
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "ece": ece,
            "ace": ace,
            "mce": mce,
            "brier": weights @ collected.squared_error[name][:, number] / sums[:, 0].sum(axis=1),
            "union_sensitivity": votes[:, UNION_TRUE] / votes[:, TRUTH],
            "intersection_precision": votes[:, INTERSECTION_TRUE] / votes[:, INTERSECTION],
        }


def _estimate_measures(estimated: np.ndarray, true: np.ndarray, *, half_width: float, is_entropy: bool) -> Resampled:
    nowhere = np.full(len(true), np.nan)
    if is_entropy:
        undefined = dict.fromkeys(("mae", "rmse", "bias", "interval_coverage"), nowhere)
        return undefined | ranking_metrics(-estimated, true)
    covered = np.abs(estimated - true) <= half_width
    return {
        **agreement_metrics(estimated, true),
        **ranking_metrics(estimated, true),
        "interval_coverage": covered.mean(axis=1) if np.isfinite(half_width) else nowhere,
    }


def _mean_and_sd(values: np.ndarray) -> Resampled:
    alone = values.shape[1] < 2
    sd = np.full(len(values), np.nan) if alone else values.std(axis=1, ddof=1)
    return {"mean": values.mean(axis=1), "sd": sd}


def _with_curves(described: dict[str, Any], collected: ScanTable, classes: Sequence[str]) -> dict[str, Any]:
    for name, by_class in described.items():
        for label, counts in zip(classes, collected.reliability[name], strict=True):
            by_class[label]["curve"] = equal_mass_curve(counts).tolist()
            by_class[label]["parzen_curve"] = parzen_curve(counts).tolist()
    return described


def _differences(measures: Mapping[str, Mapping[str, Resampled]], reference: str, scans: int) -> dict[str, Any]:
    return {
        name: {
            label: {
                key: figure(values - measures[reference][label][key], count=scans) for key, values in resampled.items()
            }
            for label, resampled in by_class.items()
        }
        for name, by_class in measures.items()
        if name != reference
    }


def _described(measures: Mapping[str, Mapping[str, Resampled]], scans: int) -> dict[str, Any]:
    return {
        name: {label: _figures(resampled, scans) for label, resampled in by_class.items()}
        for name, by_class in measures.items()
    }


def _figures(measures: Resampled, scans: int) -> dict[str, Any]:
    return {key: figure(values, count=scans, grows=key in _GROWING) for key, values in measures.items()}
