import math
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lib.errors import InputError
from lib.images.files import read_label, read_scan
from lib.simulation.phantoms import ERROR, SHAPE, SPACING, THRESHOLD, Phantom, make_phantom, write_phantoms


@pytest.fixture(scope="module")
def series() -> list[Phantom]:
    return [make_phantom(index, seed=5) for index in range(300)]


def test_the_same_number_gives_the_same_phantom_and_another_a_different_one() -> None:
    first, again, other = make_phantom(3), make_phantom(3), make_phantom(4)
    np.testing.assert_array_equal(first.scan.array, again.scan.array)
    np.testing.assert_array_equal(first.label.array, again.label.array)
    assert (first.scan.array != other.scan.array).mean() > 0.5
    assert (first.scan.array != make_phantom(3, seed=1).scan.array).mean() > 0.5


def test_labels_follow_the_posterior(series: list[Phantom]) -> None:
    """Among all voxels of about the same posterior, that share is lesion."""
    posterior = np.concatenate([p.posterior.array.ravel() for p in series])
    label = np.concatenate([p.label.array.ravel() for p in series])
    bins = np.digitize(posterior, np.linspace(0, 1, 11)[1:-1])
    for chosen in range(10):
        inside = bins == chosen
        # Errors come by the piece: a bin's thousands of voxels are worth some hundred draws.
        assert inside.sum() > 1000
        assert label[inside].mean() == pytest.approx(posterior[inside].mean(), abs=0.04)
    assert label.mean() == pytest.approx(posterior.mean(), rel=0.03)


def test_the_posterior_is_a_function_of_the_scan_alone(series: list[Phantom]) -> None:
    """Recomputed in closed form from the stored scan, in the middle of the organ, away from ducts."""
    phantom = series[0]
    scan, organ = phantom.scan.array.astype(float), phantom.region.array > 0
    seen = gaussian_filter(scan, [2.0 / step for step in SPACING]) - 100
    expected = np.array([0.5 * (1 + math.erf(z / np.sqrt(2))) for z in ((seen - THRESHOLD) / ERROR).ravel()])
    plain = gaussian_filter((~organ | (scan < 52.5)).astype(float), [2.0 / step for step in SPACING]) < 1e-9
    assert plain.sum() > 50
    np.testing.assert_allclose(phantom.posterior.array[plain], expected.reshape(SHAPE)[plain], atol=1e-6)


def test_readers_err_by_pieces_and_not_by_voxels(series: list[Phantom]) -> None:
    """The neighbour of an undecided voxel is mostly marked alike."""
    same = total = 0
    for phantom in series:
        label, posterior = phantom.label.array, phantom.posterior.array
        undecided = (posterior[:-1] > 0.4) & (posterior[:-1] < 0.6) & (posterior[1:] > 0.4) & (posterior[1:] < 0.6)
        same += int((label[1:] == label[:-1])[undecided].sum())
        total += int(undecided.sum())
    assert same / total > 0.8


def test_some_scans_are_easy_and_some_are_hard(series: list[Phantom]) -> None:
    """The best possible segmentation, posterior > 0.5, agrees well with some labels and badly with others."""
    scores = []
    for phantom in series:
        best, label = phantom.posterior.array > 0.5, phantom.label.array > 0
        scores.append(2 * (best & label).sum() / max(best.sum() + label.sum(), 1))
    assert np.quantile(scores, 0.8) > 0.85
    assert np.quantile(scores, 0.1) < 0.6
    contrasts = [phantom.contrast for phantom in series]
    assert np.corrcoef(contrasts, scores)[0, 1] > 0.35


def test_lesions_lie_in_the_organ_and_grey_values_are_those_of_ct(series: list[Phantom]) -> None:
    for phantom in series:
        assert not (phantom.label.array.astype(bool) & (phantom.region.array == 0)).any()
        assert phantom.posterior.array.min() >= 0
        assert phantom.posterior.array.max() <= 1
        assert -200 < phantom.scan.array.min() < -50
        assert 120 < phantom.scan.array.max() < 300
    assert np.mean([phantom.label.array.any() for phantom in series]) > 0.95


@pytest.mark.parametrize(("orientation", "tilt"), [("LPS", 0.0), ("PIR", 0.0), ("SAL", 20.0)])
def test_anatomy_stays_in_place_in_every_orientation(orientation: str, tilt: float) -> None:
    plain, turned = make_phantom(1, tilt=tilt), make_phantom(1, orientation=orientation, tilt=tilt)
    assert turned.scan.array.shape != plain.scan.array.shape or orientation == "LPS"
    if tilt == 0:
        assert "".join(nib.aff2axcodes(turned.scan.affine)) == orientation
    for volume, other in ((plain.scan, turned.scan), (plain.label, turned.label), (plain.posterior, turned.posterior)):
        voxels = np.argwhere(other.array > np.quantile(other.array, 0.9))
        world = nib.affines.apply_affine(other.affine, voxels)
        found = np.rint(nib.affines.apply_affine(np.linalg.inv(volume.affine), world)).astype(int)
        np.testing.assert_array_equal(volume.array[tuple(found.T)], other.array[tuple(voxels.T)])
    assert sorted(turned.scan.spacing) == pytest.approx(sorted(SPACING))


def test_a_wrong_orientation_is_refused() -> None:
    with pytest.raises(InputError, match="orientation 'XYZ'"):
        make_phantom(0, orientation="XYZ")


def test_files_hold_what_was_made_and_are_not_written_twice(tmp_path: Path) -> None:
    files = write_phantoms(tmp_path, 2, orientations=("RAS", "LPI"))
    assert [f.scan for f in files] == [tmp_path / "imagesTr" / f"phantom_00{i}.nii.gz" for i in range(2)]
    made = make_phantom(1, orientation="LPI")
    scan = read_scan(files[1].scan)
    np.testing.assert_array_equal(scan.array, made.scan.array)
    np.testing.assert_allclose(scan.affine, made.scan.affine, atol=1e-5)
    np.testing.assert_array_equal(read_label(files[1].label, values=[1], scan=scan).array, made.label.array)
    np.testing.assert_array_equal(read_label(files[1].region, values=[1], scan=scan).array, made.region.array)
    np.testing.assert_allclose(read_scan(files[1].posterior).array, made.posterior.array, atol=1e-6)
    before = files[0].scan.stat().st_mtime_ns
    assert write_phantoms(tmp_path, 3)[:2] == files
    assert files[0].scan.stat().st_mtime_ns == before


def test_a_phantom_is_made_in_a_few_hundredths_of_a_second() -> None:
    times = []
    for index in range(5):
        start = time.perf_counter()
        make_phantom(index)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1
