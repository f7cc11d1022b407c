"""Figures of made-up rounds against plain loops, SciPy and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import auc

from benchmarks.active_learning.choice import Strategy
from benchmarks.active_learning.results import area_figure, curve_figures, describe_choice, summarise
from benchmarks.active_learning.round_records import Round
from lib.metrics.bootstrap import figure, resample_scans
from tests.benchmarks.active_learning.made_up_rounds import CLASSES, a_round


def test_intervals_are_those_of_scans_and_seeds_drawn_again() -> None:
    values = np.random.default_rng(1).beta(5, 2, (3, 2, 20))
    seeds, scans = resample_scans(3), resample_scans(20)
    means = [[values[np.ix_(s, [number], t)].mean() for s, t in zip(seeds, scans, strict=True)] for number in range(2)]
    for ours, plain in zip(curve_figures(values), means, strict=True):
        assert ours == pytest.approx(figure(np.array(plain), count=20))


def test_one_seed_leaves_the_spread_of_the_scans() -> None:
    values = np.random.default_rng(2).beta(5, 2, 30)
    (ours,) = curve_figures(values[None, None])
    assert ours == pytest.approx(figure(values[resample_scans(30)].mean(axis=1), count=30))


def test_the_area_is_scikit_learns() -> None:
    counts = [8, 16, 40]
    values = np.random.default_rng(3).uniform(size=(2, 3, 6))
    plain = auc(counts, values.mean(axis=(0, 2))) / 32
    ours = area_figure(values, counts)
    assert ours["value"] == pytest.approx(plain)
    assert area_figure(np.full((2, 3, 6), 0.7), counts) == pytest.approx({"value": 0.7, "low": 0.7, "high": 0.7})


def test_differences_are_paired(rounds: list[Round]) -> None:
    found = summarise(rounds, CLASSES)["strategies"]
    ours, random = found["least_certain"], found["random"]
    # Every scan of every seed is better by as much, so that the difference has no spread, unlike the DSC.
    shift = pytest.approx({"value": 0.05, "low": 0.05, "high": 0.05})
    assert ours["difference"] == [shift] * 3
    assert ours["area_difference"] == shift
    assert ours["dsc"][0]["high"] - ours["dsc"][0]["low"] > 0.05
    assert random["difference"] is None
    assert random["area_difference"] is None


def test_figures_are_means_over_seeds_scans_and_classes(rounds: list[Round]) -> None:
    results = summarise(rounds, CLASSES)
    assert (results["labelled"], results["seeds"], results["test_scans"]) == ([4, 6, 8], [0, 1, 2], 8)
    for number in range(3):
        dsc = [
            one.test_dsc[scan]
            for one in rounds
            if (one.strategy, one.number) == (Strategy.RANDOM, number)
            for scan in one.test_dsc
        ]
        found = results["strategies"]["random"]
        assert found["dsc"][number]["value"] == pytest.approx(np.mean(dsc))
        for index, name in enumerate(CLASSES):
            assert found["dsc_by_class"][name][number]["value"] == pytest.approx(np.mean(dsc, axis=0)[index])


def test_the_order_of_rounds_does_not_matter(rounds: list[Round]) -> None:
    assert (
        summarise(rounds[::-1], CLASSES)["strategies"]["random"] == summarise(rounds, CLASSES)["strategies"]["random"]
    )


def test_without_random_choice_there_are_no_differences(rounds: list[Round]) -> None:
    results = summarise([one for one in rounds if one.strategy is Strategy.LEAST_CERTAIN], CLASSES)
    assert results["strategies"]["least_certain"]["difference"] is None
    assert results["strategies"]["least_certain"]["area_difference"] is None


def test_a_choice_is_described_against_all_candidates() -> None:
    one = a_round(0, Strategy.RANDOM, 0)
    described = describe_choice(one)
    everything, chosen = list(one.candidates.values()), [one.candidates[name] for name in one.chosen]
    true, estimated = (
        np.array([np.mean(getattr(each, key)) for each in everything]) for key in ("true_dsc", "estimated_dsc")
    )
    assert described["chosen_true_dsc"] == pytest.approx(np.mean([each.true_dsc for each in chosen]))
    assert described["all_true_dsc"] == pytest.approx(true.mean())
    assert described["chosen_estimated_dsc"] == pytest.approx(np.mean([each.estimated_dsc for each in chosen]))
    assert described["all_estimated_dsc"] == pytest.approx(estimated.mean())
    correlation = np.corrcoef(rankdata(true), rankdata(estimated))[0, 1]
    assert described["rank_correlation"] == pytest.approx(correlation)
    smaller = [sum(other.volume < each.volume for other in everything) + 0.5 for each in chosen]
    assert described["volume_quantile"] == pytest.approx(np.mean(smaller) / len(everything))
    assert described["chosen_distance"] == pytest.approx(np.mean([each.distance for each in chosen]))
    assert described["all_distance"] == pytest.approx(np.mean([each.distance for each in everything]))
    assert described["mutual_distance"] == pytest.approx(0.6)
