"""A published generation at work, on scans of any grid."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from lib.calibration.member_outputs import RequiredOutputs
from lib.calibration.registry import CALIBRATORS
from lib.calibration.settings import FoldAggregation
from lib.calibration.votes import WeightedVotes
from lib.ensemble_training.train import train_ensemble
from lib.errors import DamagedGenerationError, InputError
from lib.images.volume import Volume
from lib.models.ensemble import Ensemble
from lib.models.generation import Generation
from lib.models.prediction import Prediction
from lib.networks.devices import mixed_precision
from lib.networks.unet import build_network
from lib.preprocessing.plan import window_for
from lib.preprocessing.preprocessor import Preprocessor
from lib.quality.estimated_dsc import estimated_dsc
from tests.tiny_training import Trained, a_ball_volume, a_task


@pytest.fixture(scope="module")
def ensemble(trained: Trained) -> Ensemble:
    return Ensemble(trained.generation, device="cpu")


@pytest.fixture(scope="module")
def scan() -> Volume:
    """A scan that no member was trained on, of finer voxels than the network's."""
    volume, _ = a_ball_volume(6)
    affine = volume.affine.copy()
    affine[:3, 0] /= 2
    return Volume(np.repeat(volume.array, 2, axis=0), affine)


@pytest.fixture(scope="module")
def prediction(ensemble: Ensemble, scan: Volume) -> Prediction:
    return ensemble.predict(scan)


def with_vote(trained: Trained) -> Generation:
    """The same members, calibrated and combined as in the paper."""
    generation = train_ensemble(a_task(folds="vote"), trained.scans, trained.workspace, device="cpu")
    assert generation is not None
    return generation


def softmaxes(generation: Generation, scan: Volume) -> np.ndarray:
    """Softmax of every member on the network's grid, (F, K, C + 1, x, y, z), by a plain loop."""
    image = torch.as_tensor(Preprocessor(generation.plan).apply_to_scan(scan).array)
    window = window_for(generation.plan, image.shape[1:])
    outputs = []
    for fold in range(generation.task.fold_count):
        for offset in range(len(generation.task.offsets)):
            member = build_network(generation.task.network, class_count=1, spacing=generation.plan.spacing)
            member.load_state_dict(generation.load_member(fold, offset))
            with torch.inference_mode(), mixed_precision(torch.device("cpu")):
                logits = sliding_window_inference(image[None], window, 1, member.eval(), overlap=0.5, mode="gaussian")
            outputs.append(torch.as_tensor(logits)[0].float().softmax(dim=0).numpy())
    return np.stack(outputs).reshape(generation.task.fold_count, -1, *outputs[0].shape)


def inverted(generation: Generation, channels: np.ndarray, scan: Volume) -> np.ndarray:
    preprocessing = Preprocessor(generation.plan)
    return preprocessing.inverse(channels.astype(np.float32), like=preprocessing.apply_to_scan(scan))


def world_mask(array: np.ndarray, affine: np.ndarray) -> set[tuple[int, ...]]:
    """World coordinates, in tenths of a millimetre, of the voxels that are set."""
    millimetres = nib.affines.apply_affine(affine, np.argwhere(array))
    return {tuple(point) for point in np.rint(10 * millimetres).astype(int).tolist()}


def dice(first: set[tuple[int, ...]], second: set[tuple[int, ...]]) -> float:
    return 2 * len(first & second) / (len(first) + len(second))


def assert_mostly_close(first: np.ndarray, second: np.ndarray) -> None:
    """Equal but for voxels on a boundary, which another order of additions may tip over."""
    assert first.shape == second.shape
    assert (np.abs(first - second) > 1e-4).mean() < 0.002


def test_predictions_lie_on_the_grid_of_the_scan(prediction: Prediction, scan: Volume) -> None:
    assert (prediction.segmentation.shape, prediction.segmentation.dtype) == (scan.shape, np.uint8)
    assert (prediction.heatmap.shape, prediction.heatmap.dtype) == ((1, *scan.shape), np.float32)
    assert set(np.unique(prediction.segmentation)) == {0, 1}
    assert prediction.heatmap.min() == 0
    assert 0.05 < prediction.heatmap.max() <= 1


@pytest.mark.parametrize(("orientation", "tilt"), [("LPI", 0.0), ("PIR", 0.0), ("SAL", 0.0), ("ASL", 15.0)])
def test_predictions_are_at_the_same_place_in_the_world_for_every_orientation(
    ensemble: Ensemble, orientation: str, tilt: float
) -> None:
    plain, label = a_ball_volume(6, tilt=tilt)
    turned, _ = a_ball_volume(6, orientation=orientation, tilt=tilt)
    assert orientation == "LPI" or turned.shape != plain.shape
    first, second = (ensemble.predict(scan) for scan in (plain, turned))
    assert second.segmentation.shape == turned.shape
    places = [
        world_mask(prediction.segmentation, scan.affine) for prediction, scan in ((first, plain), (second, turned))
    ]
    assert len(places[0]) > 50
    assert dice(*places) > 0.98
    assert dice(places[0], world_mask(label.array, label.affine)) > 0.5
    threshold = 0.5 * float(first.heatmap.max())
    places = [
        world_mask(prediction.heatmap[0] > threshold, scan.affine)
        for prediction, scan in ((first, plain), (second, turned))
    ]
    assert len(places[0]) > 50
    assert dice(*places) > 0.98


def test_the_mean_over_folds_is_what_combining_by_hand_gives(
    trained: Trained, prediction: Prediction, scan: Volume
) -> None:
    """h = mean over the folds of sum_k a_k s_k (Eq. 3), s_k the mask of that fold's member k."""
    generation = trained.generation
    outputs = softmaxes(generation, scan)
    masks = outputs.argmax(axis=2) == 1
    by_fold = np.einsum("k,fkxyz->fxyz", generation.calibration.coefficients[0], masks)
    assert_mostly_close(prediction.heatmap, inverted(generation, by_fold.mean(axis=0)[None], scan))


def test_the_segmentation_is_the_mean_softmax_of_the_folds_at_w_dsc(
    trained: Trained, ensemble: Ensemble, prediction: Prediction, scan: Volume
) -> None:
    outputs = softmaxes(trained.generation, scan)
    served = trained.task.reference_index
    probabilities = inverted(trained.generation, outputs[:, served].mean(axis=0), scan)
    assert_mostly_close(prediction.segmentation, probabilities.argmax(axis=0))
    mean = ensemble.run_members(ensemble.preprocessing.apply_to_scan(scan)).mean_softmax
    np.testing.assert_allclose(mean, outputs[:, served].mean(axis=0), atol=0.02)
    assert prediction.segmentation.any()


def test_the_fold_vote_is_the_papers_heatmap(copied: Trained, scan: Volume) -> None:
    """Softmax averaged over the folds, then binarised, then combined (Eq. 3)."""
    generation = with_vote(copied)
    assert generation.task.folds is FoldAggregation.VOTE
    prediction = Ensemble(generation, device="cpu").predict(scan)
    masks = softmaxes(generation, scan).mean(axis=0).argmax(axis=1) == 1
    combined = np.einsum("k,kxyz->xyz", generation.calibration.coefficients[0], masks)
    assert_mostly_close(prediction.heatmap, inverted(generation, combined[None], scan))
    assert prediction.heatmap.min() >= 0
    assert prediction.heatmap.max() <= 1


def test_members_are_run_once_for_many_calibrations(trained: Trained, ensemble: Ensemble, scan: Volume) -> None:
    outputs = softmaxes(trained.generation, scan)
    image = ensemble.preprocessing.apply_to_scan(scan)
    own = ensemble.run_members(image)
    assert own.joint_segmentations is None
    assert own.member_softmax is None
    statistics = trained.generation.statistics
    calibrations = [
        a_task(heatmap=heatmap, folds=folds).calibrator.fit(statistics)
        for heatmap in CALIBRATORS
        for folds in FoldAggregation
    ]
    all_kept = ensemble.run_members(image, calibrations)
    np.testing.assert_array_equal(all_kept.segmentations, own.segmentations)
    np.testing.assert_array_equal(all_kept.softmax, own.softmax)
    assert_mostly_close(all_kept.segmentations, outputs.argmax(axis=2))
    assert_mostly_close(all_kept.joint_segmentations, outputs.mean(axis=0).argmax(axis=1))
    np.testing.assert_allclose(all_kept.softmax, outputs[:, 1], atol=0.02)
    np.testing.assert_allclose(all_kept.member_softmax, outputs.mean(axis=0)[:, 1:], atol=0.02)
    served = next(one for one in calibrations if one == trained.generation.calibration)
    np.testing.assert_array_equal(served.heatmap(all_kept), served.heatmap(own))
    for calibration in calibrations:
        alone = ensemble.run_members(image, [calibration])
        np.testing.assert_array_equal(calibration.heatmap(alone), calibration.heatmap(all_kept))
    (vote,) = {one for one in calibrations if one.required_outputs is RequiredOutputs.JOINT_SEGMENTATIONS}
    with pytest.raises(ValueError, match="lack joint segmentations"):
        vote.heatmap(own)


def test_heatmaps_stay_between_0_and_1_for_any_coefficients(trained: Trained, scan: Volume) -> None:
    """The authors' unconstrained fit gives sums outside."""
    for coefficients in (((2.0, 1.5, 3.0),), ((-1.0, 0.4, -0.2),)):
        calibration = WeightedVotes(coefficients=coefficients, combination=FoldAggregation.MEAN)
        generation = replace(trained.generation, calibration=calibration)
        heatmap = Ensemble(generation, device="cpu").predict(scan).heatmap
        assert heatmap.min() >= 0
        assert heatmap.max() <= 1


def test_the_same_scan_gives_the_same_prediction(ensemble: Ensemble, prediction: Prediction, scan: Volume) -> None:
    again = ensemble.predict(scan)
    np.testing.assert_array_equal(again.segmentation, prediction.segmentation)
    np.testing.assert_array_equal(again.heatmap, prediction.heatmap)


def test_an_empty_region_leaves_nothing_to_estimate(trained: Trained, scan: Volume) -> None:
    task = trained.generation.task.model_copy(update={"region": "organ"})
    nothing = Volume(np.zeros(scan.shape, bool), scan.affine)
    prediction = Ensemble(replace(trained.generation, task=task), device="cpu").predict(scan, nothing)
    assert not prediction.heatmap.any()
    assert (prediction.estimated_dsc, prediction.mean_estimated_dsc) == ({}, None)
    assert Ensemble(trained.generation, device="cpu").predict(scan, nothing).estimated_dsc  # a task without a region


def test_outside_the_region_everything_is_zero(trained: Trained, prediction: Prediction, scan: Volume) -> None:
    """And inside it nothing changes; a task without a region takes no notice of a mask."""
    middle = np.median(np.argwhere(prediction.heatmap[0] > 0), axis=0).astype(int)
    mask = np.zeros(scan.shape, np.uint8)
    mask[: middle[0]] = 3
    region = Volume(mask, scan.affine)
    assert prediction.heatmap[0][mask == 0].any()
    assert prediction.heatmap[0][mask > 0].any()
    task = trained.generation.task.model_copy(update={"region": "organ"})
    bounded = Ensemble(replace(trained.generation, task=task), device="cpu")
    inside = bounded.predict(scan, region)
    np.testing.assert_array_equal(inside.segmentation, prediction.segmentation * (mask > 0))
    np.testing.assert_array_equal(inside.heatmap, prediction.heatmap * (mask > 0))
    whole = bounded.predict(scan)
    np.testing.assert_array_equal(whole.heatmap, prediction.heatmap)
    unaware = Ensemble(trained.generation, device="cpu").predict(scan, region)
    np.testing.assert_array_equal(unaware.heatmap, prediction.heatmap)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((40, 44, 3), (1.5, 1.5, 9.0)),
        ((30, 30, 1), (3, 3, 3)),
        ((1, 1, 1), (3, 3, 3)),
        ((2, 3, 2), (0.5, 0.5, 0.5)),
        ((50, 9, 70), (3, 3, 3)),
    ],
)
def test_scans_of_any_size_are_predicted(
    ensemble: Ensemble, shape: tuple[int, int, int], spacing: Sequence[float]
) -> None:
    """Stacks of thick slices, single slices and voxels, scans longer than the window."""
    array = np.random.default_rng(0).normal(100, 50, shape).astype(np.float32)
    prediction = ensemble.predict(Volume(array, np.diag([*spacing, 1.0])))
    assert prediction.segmentation.shape == shape
    assert prediction.heatmap.shape == (1, *shape)
    assert np.isfinite(prediction.heatmap).all()
    assert prediction.heatmap.max() <= 1


def test_a_constant_scan_is_predicted(ensemble: Ensemble) -> None:
    prediction = ensemble.predict(Volume(np.full((20, 16, 9), 7, np.float32), np.diag([3, 3, 3, 1])))
    assert np.isfinite(prediction.heatmap).all()


@pytest.mark.parametrize(
    "name", ["members/fold_0_offset_0.pt", "members/fold_1_offset_2.pt", "calibration.json", "plan.json"]
)
def test_a_generation_changed_by_one_byte_is_refused(copied: Trained, name: str) -> None:
    path = copied.generation.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedGenerationError, match=f"{name}: differs from what was published"):
        Ensemble(copied.generation, device="cpu")


def test_a_device_that_is_not_there_is_refused(trained: Trained) -> None:
    with pytest.raises(InputError, match="give auto, cpu or cuda"):
        Ensemble(trained.generation, device="abacus")


def test_an_ensemble_serves_on_while_its_generation_is_replaced(copied: Trained, tmp_path: Path, scan: Volume) -> None:
    """Members are in memory."""
    ensemble = Ensemble(copied.generation, device="cpu")
    before = ensemble.predict(scan)
    copied.generation.path.rename(tmp_path / "elsewhere")
    np.testing.assert_array_equal(ensemble.predict(scan).heatmap, before.heatmap)


def test_a_shortage_of_memory_on_the_device_is_told_as_any_other(
    ensemble: Ensemble, scan: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_short(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(ensemble, "run_members", run_short)
    with pytest.raises(MemoryError, match="CUDA out of memory"):
        ensemble.predict(scan)


@pytest.mark.parametrize("fold", [0, 1])
def test_the_members_of_a_fold_are_those_of_the_generation(trained: Trained, fold: int) -> None:
    (members,) = Ensemble(trained.generation, device="cpu", folds=[fold]).members
    assert len(members) == 3
    for offset, member in enumerate(members):
        weights, expected = member.state_dict(), trained.generation.load_member(fold, offset)
        assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_heatmaps_of_the_folds_average_to_that_of_the_whole_ensemble(trained: Trained) -> None:
    scan, _ = a_ball_volume(7)
    ensembles = [Ensemble(trained.generation, device="cpu", folds=folds) for folds in (None, [0], [1])]
    heatmaps = [ensemble.predict(scan).heatmap for ensemble in ensembles]
    np.testing.assert_allclose(np.mean(heatmaps[1:], axis=0), heatmaps[0], atol=1e-5)


@pytest.mark.parametrize("folds", [[2], [-1], [0, 2], [], [0, 0], [0, 1, 0]])
def test_a_fold_that_is_not_there_or_comes_twice_is_refused(trained: Trained, folds: list[int]) -> None:
    with pytest.raises(ValueError, match="give some of the generation's, 0 to 1, each once"):
        Ensemble(trained.generation, device="cpu", folds=folds)


def test_a_fold_is_refused_for_damage_of_its_own_members_and_of_what_all_share(copied: Trained) -> None:
    path = copied.generation.path / "members" / "fold_1_offset_0.pt"
    path.unlink()
    Ensemble(copied.generation, device="cpu", folds=[0])
    for folds in ([1], None):
        with pytest.raises(DamagedGenerationError, match=r"fold_1_offset_0\.pt: is missing"):
            Ensemble(copied.generation, device="cpu", folds=folds)
    (copied.generation.path / "statistics.npz").unlink()
    with pytest.raises(DamagedGenerationError, match=r"statistics\.npz: is missing"):
        Ensemble(copied.generation, device="cpu", folds=[0])


def test_a_prediction_knows_the_scans_grid_and_what_its_quality_is_judged_by(
    trained: Trained, prediction: Prediction, scan: Volume
) -> None:
    generation = trained.generation
    assert (prediction.generation, prediction.classes) == (generation.id, ("lesion",))
    assert prediction.typical_volumes == generation.typical_volumes
    np.testing.assert_array_equal(prediction.affine, scan.affine)
    (expected,) = estimated_dsc(
        prediction.heatmap,
        prediction.segmentation,
        voxel_volume=scan.voxel_volume,
        typical_volumes=generation.typical_volumes,
    )
    assert prediction.estimated_dsc == {"lesion": expected}


def test_a_class_that_cross_validation_never_found_is_said_and_estimated_as_it_found_it(
    trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    found = Ensemble(trained.generation, device="cpu").predict(a_ball_volume(7)[0])
    assert caplog.messages == []
    (name,) = trained.generation.task.classes
    never = replace(trained.generation, metrics={**trained.generation.metrics, "dice": {name: 0.0}})
    prediction = Ensemble(never, device="cpu").predict(a_ball_volume(7)[0])
    assert found.estimated_dsc[name] > 0.5
    assert prediction.estimated_dsc == {name: 0.0}
    assert (
        f"class {name}: its heatmap does not tell yet where it is, so that its estimated DSC is that of " in caplog.text
    )
