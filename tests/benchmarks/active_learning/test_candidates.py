"""Candidates are assessed as the product does it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.active_learning.assessment import assess_scan, true_dsc
from benchmarks.active_learning.candidates import assess_candidates
from benchmarks.active_learning.encoder_features import run_with_features
from lib.datasets.scans import LabelledScan, UnlabelledScan
from lib.ensemble_training.train import train_ensemble
from lib.images.files import read_label, read_scan
from lib.models.ensemble import Ensemble
from lib.models.workspace import Workspace
from lib.networks.unet import build_network
from lib.preprocessing.plan import window_for
from lib.progress import silent
from lib.quality.disagreement import mean_entropy
from scoring.database.engine import open_database
from scoring.database.scan_list import synchronise_scans
from scoring.score_scans import score_scans
from scoring.strategies.k_centre import nearest_distances
from scoring.worklist.ranking import ranking
from tests.tiny_training import a_task, write_balls

TASK = a_task(offsets=[-1, 0], training={"iterations": 8})


@dataclass(frozen=True)
class Model:
    ensemble: Ensemble
    labelled: tuple[LabelledScan, ...]
    unlabelled: tuple[LabelledScan, ...]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("model")
    scans = write_balls(folder, 7)
    generation = train_ensemble(TASK, scans[:3], Workspace(folder / "workspace"), device="cpu")
    assert generation is not None
    return Model(Ensemble(generation, device="cpu"), scans[:3], scans[3:])


def test_estimates_and_their_order_are_the_products(model: Model, tmp_path: Path) -> None:
    engine = open_database(tmp_path / "database.sqlite")
    synchronise_scans(engine, [scan.name for scan in model.unlabelled], labelled=())
    score_scans(engine, model.ensemble, [UnlabelledScan(scan.name, scan.image) for scan in model.unlabelled])
    products = ranking(engine, model.ensemble.generation.id)
    engine.dispose()
    candidates, kept = assess_candidates(model.ensemble, model.unlabelled, model.labelled, silent)
    assert [model.unlabelled[index].name for index in candidates.ranking] == [ranked.scan for ranked in products]
    for ranked in products:
        assert ranked.estimated_dsc == {"lesion": pytest.approx(kept[ranked.scan].estimated_dsc[0], abs=1e-12)}


def test_what_is_kept_is_what_was_seen(model: Model) -> None:
    candidates, kept = assess_candidates(model.ensemble, model.unlabelled, model.labelled, silent)
    assert list(kept) == [scan.name for scan in model.unlabelled]
    assert [one.entropy for one in kept.values()] == candidates.entropy.tolist()
    distances = nearest_distances(candidates.features, candidates.labelled_features)
    np.testing.assert_allclose([one.distance for one in kept.values()], distances)
    assert candidates.features.shape == (4, 16)
    assert candidates.labelled_features.shape == (3, 16)


def test_truth_is_that_of_the_label(model: Model) -> None:
    for scan in model.unlabelled:
        assessed = assess_scan(model.ensemble, scan)
        label = read_label(scan.label, values=[1]).array > 0
        predicted = model.ensemble.predict(read_scan(scan.image)).segmentation > 0
        dice = 2 * (label & predicted).sum() / (label.sum() + predicted.sum())
        assert assessed.true_dsc == (pytest.approx(dice),) == true_dsc(model.ensemble, scan)
        assert assessed.volume == pytest.approx(27 * label.sum())
        softmax = model.ensemble.run_members(model.ensemble.preprocessing.apply_to_scan(read_scan(scan.image))).softmax
        assert assessed.entropy == pytest.approx(mean_entropy(softmax.mean(axis=0)[1:])[0])


def test_features_are_the_deepest_of_the_encoders_at_w_dsc(model: Model) -> None:
    generation = model.ensemble.generation
    image = model.ensemble.preprocessing.apply_to_scan(read_scan(model.unlabelled[0].image))
    window = window_for(generation.plan, image.shape[1:])
    # One window covers the scan; it holds zeros where the scan ends.
    margins = [(large - small) for large, small in zip(window, image.shape[1:], strict=True)]
    assert min(margins) >= 0
    before, after = [margin // 2 for margin in margins], [margin - margin // 2 for margin in margins]
    padded = np.pad(image.numpy(), [(0, 0), *zip(before, after, strict=True)])
    expected = []
    for fold in range(2):
        network = build_network(generation.task.network, class_count=1, spacing=generation.plan.spacing)
        network.load_state_dict(generation.load_member(fold, generation.task.reference_index))
        with torch.inference_mode():
            expected.append(network.eval().encoder(torch.from_numpy(padded)[None])[-1].mean(dim=(0, 2, 3, 4)).numpy())
    _, features = run_with_features(model.ensemble, image)
    np.testing.assert_allclose(features, np.concatenate(expected), rtol=0.02, atol=0.02)
