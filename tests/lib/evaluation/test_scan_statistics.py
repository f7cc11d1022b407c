"""Statistics of a scan against the prediction that the app serves, and against loops over its voxels."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lib.evaluation.compared_heatmaps import Comparison
from lib.evaluation.scan_statistics import ScanStatistics, Truth, reduce_scan
from lib.evaluation.statistics_files import read_statistics, write_statistics
from lib.images.files import read_label, read_scan
from lib.images.region import read_region
from lib.images.volume import Volume
from lib.models.ensemble import Ensemble
from lib.models.kinds.method import Method
from lib.quality.estimated_dsc import estimated_dsc
from tests.evaluated_studies import Judged


@pytest.fixture(scope="module")
def truth(judged: Judged) -> Truth:
    files = judged.studies.unlabelled[1]
    scan = read_scan(files.scan)
    region = read_region(judged.data_set / "regionsTr" / files.label.name, scan)
    label = (read_label(files.label, values=[3], scan=scan).array > 0).astype(np.uint8)
    return Truth(scan, label * region.array, region)


@pytest.fixture(scope="module")
def ensembles(comparison: Comparison) -> dict[Method, Ensemble]:
    return {method: Ensemble(generation, device="cpu") for method, generation in comparison.generations.items()}


@pytest.fixture(scope="module")
def statistics(ensembles: dict[Method, Ensemble], comparison: Comparison, truth: Truth) -> ScanStatistics:
    return reduce_scan(ensembles, comparison, truth)


def test_the_estimate_and_the_dsc_are_those_of_the_served_prediction(
    statistics: ScanStatistics, ensembles: dict[Method, Ensemble], truth: Truth
) -> None:
    ensemble = ensembles[Method.CALIBRATED]
    prediction = ensemble.predict(truth.scan, truth.region)
    (expected,) = estimated_dsc(
        prediction.heatmap,
        prediction.segmentation,
        voxel_volume=float(np.prod(truth.scan.spacing)),
        typical_volumes=ensemble.generation.typical_volumes,
    )
    assert statistics.estimates["votes"] == pytest.approx([expected], abs=1e-6)
    predicted, labelled = prediction.segmentation == 1, truth.label == 1
    dice = 2 * np.count_nonzero(predicted & labelled) / (np.count_nonzero(predicted) + np.count_nonzero(labelled))
    assert statistics.true_dsc["calibrated"] == pytest.approx([dice])
    # Interpolation carries a little beyond the voxels of the votes.
    assert 0.9 < statistics.reliability["votes"][0].heat.sum() / prediction.heatmap.sum() <= 1


def test_the_baseline_is_judged_by_its_own_prediction(
    statistics: ScanStatistics, ensembles: dict[Method, Ensemble], truth: Truth
) -> None:
    predicted = ensembles[Method.DROPOUT].predict(truth.scan, truth.region).segmentation == 1
    labelled = truth.label == 1
    dice = 2 * np.count_nonzero(predicted & labelled) / (np.count_nonzero(predicted) + np.count_nonzero(labelled))
    assert statistics.true_dsc["dropout"] == pytest.approx([dice])


def test_a_baseline_is_asked_about_the_served_prediction_as_well(
    statistics: ScanStatistics, ensembles: dict[Method, Ensemble], truth: Truth
) -> None:
    served, dropout = (
        ensembles[method].predict(truth.scan, truth.region) for method in (Method.CALIBRATED, Method.DROPOUT)
    )
    (expected,) = estimated_dsc(
        dropout.heatmap,
        served.segmentation,
        voxel_volume=float(np.prod(truth.scan.spacing)),
        typical_volumes=ensembles[Method.CALIBRATED].generation.typical_volumes,
    )
    assert statistics.estimates["dropout_votes_on_served"] == pytest.approx([expected], abs=1e-6)


def test_votes_are_counted_inside_the_label_and_outside(statistics: ScanStatistics, truth: Truth) -> None:
    labelled = np.count_nonzero(truth.label)
    for ((true, union, union_true, intersection, intersection_true),) in statistics.votes.values():
        assert true == labelled
        assert intersection_true <= union_true <= labelled
        assert intersection <= union
        assert union_true <= union
        assert intersection_true <= intersection
    everybody, some = statistics.votes["vote_mean"][0], statistics.votes["softmax"][0]
    assert everybody[1] >= some[1]
    assert everybody[3] <= some[3]


def test_the_voxels_of_all_heatmaps_are_those_where_any_member_votes(statistics: ScanStatistics) -> None:
    union = statistics.votes["vote_mean"][0][1]
    for (counts,) in statistics.reliability.values():
        assert counts.voxels.sum() == union
        assert counts.foreground.sum() == statistics.votes["vote_mean"][0][2]


def test_nothing_counts_outside_the_region(
    ensembles: dict[Method, Ensemble], comparison: Comparison, truth: Truth
) -> None:
    nowhere = Volume(np.zeros(truth.scan.shape, bool), truth.scan.affine)
    nothing = reduce_scan(ensembles, comparison, Truth(truth.scan, np.zeros_like(truth.label), nowhere))
    # Neither predicted nor labelled: all agree that nothing is there.
    assert nothing.true_dsc["calibrated"] == pytest.approx([1])
    assert nothing.estimates["votes"] == pytest.approx([1])
    assert nothing.reliability["votes"][0].voxels.sum() == 0
    assert not nothing.votes["votes"].any()


def test_the_shown_slice_is_the_one_where_the_heatmap_holds_most(
    statistics: ScanStatistics, ensembles: dict[Method, Ensemble], truth: Truth
) -> None:
    heatmap = ensembles[Method.CALIBRATED].predict(truth.scan, truth.region).heatmap.sum(axis=0)
    images = [nib.as_closest_canonical(nib.Nifti1Image(one, truth.scan.affine)) for one in (heatmap, truth.label)]
    ras, label = (np.asanyarray(image.dataobj) for image in images)
    level = ras.sum(axis=(0, 1)).argmax()
    shown = statistics.shown
    np.testing.assert_allclose(shown.heatmaps["votes"][..., 0], ras[..., level], atol=1e-6)
    np.testing.assert_array_equal(shown.label[..., 0], label[..., level])
    assert {one.shape for one in shown.heatmaps.values()} == {shown.scan.shape}
    assert nib.aff2axcodes(shown.scan.affine) == ("R", "A", "S")


def test_statistics_come_back_from_their_file_as_they_were(statistics: ScanStatistics, tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    write_statistics(path, statistics)
    assert path.stat().st_size < 1_000_000
    again = read_statistics(path)
    for part in ("true_dsc", "votes", "estimates", "seconds"):
        before, after = getattr(statistics, part), getattr(again, part)
        assert list(after) == list(before)
        for name, value in before.items():
            np.testing.assert_array_equal(after[name], value)
    for name, by_class in statistics.reliability.items():
        for before, after in zip(by_class, again.reliability[name], strict=True):
            assert after.squared_error == before.squared_error
            for part in ("voxels", "foreground", "heat"):
                np.testing.assert_array_equal(getattr(after, part), getattr(before, part))
    for part in ("segmentation", "label"):
        np.testing.assert_array_equal(getattr(again.shown, part), getattr(statistics.shown, part))
    for name, heatmap in statistics.shown.heatmaps.items():
        np.testing.assert_array_equal(again.shown.heatmaps[name], heatmap)
    np.testing.assert_array_equal(again.shown.scan.affine, statistics.shown.scan.affine)
