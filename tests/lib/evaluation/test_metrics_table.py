"""Figures from made-up statistics against scikit-learn, MONAI and loops over all voxels at once."""

import numpy as np
import pytest
import torch
from monai.metrics import CalibrationErrorMetric
from scipy.stats import spearmanr
from sklearn.metrics import brier_score_loss, mean_absolute_error

from lib.calibration.statistics.probability_counts import ERROR_BINS, count_probabilities
from lib.evaluation.compared_heatmaps import ComparedHeatmap, Comparison
from lib.evaluation.metrics_table import ScanTable, compute_metrics, interval_half_widths, scan_table
from lib.evaluation.scan_statistics import ScanStatistics, ShownSlice
from lib.images.volume import Volume
from lib.models.kinds.method import Method

SCANS = 12
CONSTANT = 0.8


class Scans:
    """Voxels of a few scans whose heatmap `sure` says more than it knows, unlike the served `votes`."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.votes = [rng.random(int(rng.integers(50, 300))) for _ in range(SCANS)]
        self.sure = [np.clip(2 * p - 0.5, 0, 1) for p in self.votes]
        self.truth = [rng.random(len(p)) < p for p in self.votes]
        self.true_dsc = rng.beta(8, 2, SCANS)
        self.estimates = {
            "votes": np.clip(self.true_dsc + rng.normal(scale=0.05, size=SCANS), 0, 1),
            "sure": np.clip(self.true_dsc + 0.2, 0, 1),
            "pairwise_dice": rng.random(SCANS),
            "entropy": 1 - self.true_dsc,
        }
        self.counts = rng.integers(10, 50, (SCANS, 5))

    def statistics(self) -> list[ScanStatistics]:
        return [
            ScanStatistics(
                true_dsc={"calibrated": self.true_dsc[[row]]},
                reliability={
                    "votes": (count_probabilities(self.votes[row], self.truth[row]),),
                    "sure": (count_probabilities(self.sure[row], self.truth[row]),),
                },
                votes=dict.fromkeys(("votes", "sure"), self.counts[[row]]),
                estimates={name: values[[row]] for name, values in self.estimates.items()},
                seconds={"votes": 2.0, "sure": 1.0},
                shown=ShownSlice(Volume(np.zeros((1, 1, 1)), np.eye(4)), *np.zeros((2, 1, 1, 1)), heatmaps={}),
            )
            for row in range(SCANS)
        ]


@pytest.fixture(scope="module")
def scans() -> Scans:
    return Scans()


@pytest.fixture(scope="module")
def collected(scans: Scans) -> ScanTable:
    return scan_table(scans.statistics(), [CONSTANT])


@pytest.fixture(scope="module")
def two_heatmaps(comparison: Comparison) -> Comparison:
    def unused(outputs: object) -> np.ndarray:
        raise AssertionError("the statistics are made up")

    heatmaps = {name: ComparedHeatmap(name, name, Method.CALIBRATED, 1, unused, unused) for name in ("votes", "sure")}
    return Comparison({Method.CALIBRATED: comparison.served}, heatmaps)


@pytest.fixture(scope="module")
def figures(collected: ScanTable, two_heatmaps: Comparison) -> dict:
    return compute_metrics(collected, interval_half_widths(collected), two_heatmaps)


def test_calibration_is_that_of_all_voxels_together(figures: dict, scans: Scans) -> None:
    truth = np.concatenate(scans.truth)
    for name in ("votes", "sure"):
        probability = np.concatenate(getattr(scans, name))
        found = figures["heatmaps"][name]["lesion"]
        for key, reduction in (("ece", "expected"), ("ace", "average"), ("mce", "maximum")):
            metric = CalibrationErrorMetric(num_bins=ERROR_BINS, calibration_reduction=reduction)
            metric(torch.from_numpy(probability)[None, None], torch.from_numpy(truth)[None, None].float())
            assert found[key]["value"] == pytest.approx(float(metric.aggregate()), abs=1e-4)
        assert found["brier"]["value"] == pytest.approx(brier_score_loss(truth, probability))


def test_votes_are_shares_of_the_sums(figures: dict, scans: Scans) -> None:
    truth, _, union_true, intersection, intersection_true = scans.counts.sum(axis=0)
    found = figures["heatmaps"]["votes"]["lesion"]
    assert found["union_sensitivity"]["value"] == pytest.approx(union_true / truth)
    assert found["intersection_precision"]["value"] == pytest.approx(intersection_true / intersection)


def test_estimates_are_compared_with_the_true_dsc(figures: dict, scans: Scans) -> None:
    found = figures["estimates"]["votes"]["lesion"]
    assert found["mae"]["value"] == pytest.approx(mean_absolute_error(scans.true_dsc, scans.estimates["votes"]))
    assert found["spearman"]["value"] == pytest.approx(spearmanr(scans.true_dsc, scans.estimates["votes"]).statistic)
    constant = figures["estimates"]["constant"]["lesion"]
    assert constant["mae"]["value"] == pytest.approx(np.abs(scans.true_dsc - CONSTANT).mean())
    assert constant["pearson"]["value"] is None


def test_entropy_ranks_scans_but_estimates_no_dsc(figures: dict) -> None:
    found = figures["estimates"]["entropy"]["lesion"]
    assert found["spearman"]["value"] == pytest.approx(1)
    assert all(found[key]["value"] is None for key in ("mae", "rmse", "bias", "interval_coverage"))


def test_intervals_of_the_scans_themselves_keep_their_promise(figures: dict, collected: ScanTable) -> None:
    widths = interval_half_widths(collected)
    assert "entropy" not in widths
    assert figures["estimates"]["votes"]["lesion"]["interval_coverage"]["value"] >= 0.9
    assert widths["votes"][0] < widths["sure"][0]


def test_too_few_scans_promise_nothing(scans: Scans, two_heatmaps: Comparison) -> None:
    few = scan_table(scans.statistics()[:8], [CONSTANT])
    assert np.isnan(interval_half_widths(few)["votes"]).all()
    assert interval_half_widths(None) == {}
    without = compute_metrics(few, interval_half_widths(None), two_heatmaps)
    assert without["estimates"]["votes"]["lesion"]["interval_coverage"]["value"] is None


def test_differences_are_paired_on_the_same_resamples(figures: dict) -> None:
    difference = figures["differences"]["heatmaps"]["sure"]["lesion"]["ece"]
    ours, theirs = (figures["heatmaps"][name]["lesion"]["ece"] for name in ("votes", "sure"))
    assert difference["value"] == pytest.approx(theirs["value"] - ours["value"])
    assert difference["low"] > 0
    assert "votes" not in figures["differences"]["heatmaps"]


def test_a_difference_that_all_scans_share_has_no_spread(scans: Scans, two_heatmaps: Comparison) -> None:
    votes = scans.estimates["votes"]
    scans.estimates["sure"], kept = votes + 0.1 * np.sign(votes - scans.true_dsc), scans.estimates["sure"]
    shifted = scan_table(scans.statistics(), [CONSTANT])
    scans.estimates["sure"] = kept
    found = compute_metrics(shifted, {}, two_heatmaps)["differences"]["estimates"]["sure"]["lesion"]["mae"]
    assert found == pytest.approx({"value": 0.1, "low": 0.1, "high": 0.1})


def test_one_scan_has_figures_without_spread(scans: Scans, two_heatmaps: Comparison) -> None:
    one = scan_table(scans.statistics()[:1], [None])
    found = compute_metrics(one, {}, two_heatmaps)
    assert found["dice"]["lesion"]["mean"]["value"] == pytest.approx(scans.true_dsc[0])
    assert found["dice"]["lesion"]["sd"]["value"] is None
    assert found["estimates"]["constant"]["lesion"]["mae"]["value"] is None
