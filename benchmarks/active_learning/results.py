"""What the finished rounds say: test DSC with intervals, and what each strategy chose."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.integrate import trapezoid
from scipy.stats import percentileofscore, spearmanr

from benchmarks.active_learning.choice import Strategy
from benchmarks.active_learning.round_records import Round
from lib.metrics.bootstrap import Figure, figure, resample_scans, scan_weights


def summarise(rounds: Sequence[Round], classes: Sequence[str]) -> dict[str, Any]:
    """Summarise all rounds of all seeds and strategies.

    Intervals come from drawing test scans and seeds again, each with replacement. Differences are
    paired: the same seeds and scans are drawn for both strategies. Few seeds make too narrow intervals.

    Args:
        rounds: every strategy's rounds of every seed.
        classes: names of the classes.

    Returns:
        JSON: `labelled` scans of each round, `seeds`, `test_scans`, `classes`, and for each of the
        `strategies` the figures `dsc` (each round, mean over the classes), `dsc_by_class`, `area` (mean
        DSC along the curve), `difference` and `area_difference` to random choice (None without it), the
        latter also `by_seed`, the mean `choices` over seeds of each round, and `choice` over all.
    """
    ordered = sorted(rounds, key=lambda one: (one.seed, one.number))
    seeds = sorted({one.seed for one in rounds})
    scans = sorted(rounds[0].test_dsc)
    by_strategy = {strategy: [one for one in ordered if one.strategy is strategy] for strategy in Strategy}
    dsc = {strategy: _dsc(own, seeds, scans) for strategy, own in by_strategy.items() if own}
    counts = sorted({len(one.labelled) for one in rounds})
    random = dsc.get(Strategy.RANDOM)
    strategies = {}
    for strategy, values in dsc.items():
        mean = values.mean(axis=-1)
        difference = None if random is None or strategy is Strategy.RANDOM else mean - random.mean(axis=-1)
        described: list[dict[str, float]] = [
            _means([describe_choice(one) for one in by_strategy[strategy] if one.number == number])
            for number in range(len(counts) - 1)
        ]
        strategies[strategy.value] = {
            "dsc": curve_figures(mean),
            "dsc_by_class": {name: curve_figures(values[..., index]) for index, name in enumerate(classes)},
            "area": area_figure(mean, counts),
            "difference": None if difference is None else curve_figures(difference),
            "area_difference": None if difference is None else area_figure(difference, counts),
            "by_seed": None if difference is None else mean_along(difference.mean(axis=2), counts).tolist(),
            "choices": [_json(choice) for choice in described],
            "choice": _json(_means(described)),
        }
    return {
        "labelled": counts,
        "seeds": seeds,
        "test_scans": len(scans),
        "classes": list(classes),
        "strategies": strategies,
    }


def curve_figures(values: np.ndarray) -> list[Figure]:
    """Mean over seeds and scans, with its interval, of each round.

    Args:
        values: float (S, R, T) of S seeds, R rounds and T test scans.
    """
    return [figure(means, count=values.shape[2]) for means in _resampled_means(values).T]


def area_figure(values: np.ndarray, counts: Sequence[int]) -> Figure:
    """Mean along the curve: the area under it by the trapezoidal rule, over the labels added.

    Args:
        values: float (S, R, T) of S seeds, R rounds and T test scans, R >= 2.
        counts: labelled scans of each round, ascending.
    """
    return figure(mean_along(_resampled_means(values), counts), count=values.shape[2])


def mean_along(curves: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Mean of curves over the labels added, by the trapezoidal rule: shape (N,) of (N, R)."""
    return trapezoid(curves, counts, axis=1) / (counts[-1] - counts[0])


def describe_choice(one: Round) -> dict[str, float]:
    """What a strategy chose in a round, against all that it could choose from.

    Args:
        one: a round after which scans were chosen.

    Returns:
        `chosen_true_dsc` and `all_true_dsc`; `chosen_estimated_dsc` and `all_estimated_dsc`;
        `rank_correlation` of estimated and true DSC over all; `volume_quantile` of the chosen, 0.5
        for typical sizes; `chosen_distance` and `all_distance` to the nearest labelled scan, and
        `mutual_distance` to the nearest other chosen one, in standardised features. NaN where undefined.
    """
    everything = list(one.candidates.values())
    chosen = [one.candidates[name] for name in one.chosen]
    true = np.array([np.mean(candidate.true_dsc) for candidate in everything])
    estimated = np.array([np.mean(candidate.estimated_dsc) for candidate in everything])
    volumes = [candidate.volume for candidate in everything]
    varies = min(np.ptp(true), np.ptp(estimated)) > 0
    quantiles = [percentileofscore(volumes, candidate.volume, kind="mean") / 100 for candidate in chosen]
    return {
        "chosen_true_dsc": float(np.mean([candidate.true_dsc for candidate in chosen])),
        "all_true_dsc": float(true.mean()),
        "chosen_estimated_dsc": float(np.mean([candidate.estimated_dsc for candidate in chosen])),
        "all_estimated_dsc": float(estimated.mean()),
        "rank_correlation": float(spearmanr(estimated, true).statistic) if varies else np.nan,
        "volume_quantile": float(np.mean(quantiles)),
        "chosen_distance": float(np.mean([candidate.distance for candidate in chosen])),
        "all_distance": float(np.mean([candidate.distance for candidate in everything])),
        "mutual_distance": float(np.mean(one.mutual_distances)) if one.mutual_distances else np.nan,
    }


def _dsc(rounds: Sequence[Round], seeds: Sequence[int], scans: Sequence[str]) -> np.ndarray:
    """DSC of one strategy, whose rounds are in the order of seed and number: float64 (S, R, T, C)."""
    flat = np.array([[one.test_dsc[scan] for scan in scans] for one in rounds])
    return flat.reshape(len(seeds), -1, *flat.shape[1:])


def _resampled_means(values: np.ndarray) -> np.ndarray:
    """Mean over seeds and scans of each round: float64 (1 + B, R), first of the values as they are."""
    seeds, scans = (scan_weights(resample_scans(values.shape[axis])) / values.shape[axis] for axis in (0, 2))
    return np.einsum("bs,srt,bt->br", seeds, values, scans, optimize=True)


def _means(described: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each figure over those that are defined."""
    values = {name: np.array([one[name] for one in described]) for name in described[0]}
    defined = {name: array[np.isfinite(array)] for name, array in values.items()}
    return {name: float(array.mean()) if array.size else np.nan for name, array in defined.items()}


def _json(figures: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in figures.items()}
