"""Baselines: trained, stored, resumed and cached as the members are, and never served."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from lib.calibration.settings import FoldAggregation
from lib.datasets.scans import LabelledScan
from lib.ensemble_training.train import train_ensemble
from lib.models.ensemble import Ensemble
from lib.models.generation import Generation
from lib.models.kinds.baseline import NETWORKS
from lib.models.kinds.mc_dropout import DROPOUT
from lib.models.kinds.method import Method
from lib.models.kinds.registry import KINDS
from lib.models.workspace import Workspace
from lib.task.task import Task
from tests.tiny_training import Trained, TrainingLog, a_ball_volume, a_task, record_training, tree

BASELINES = [Method.SEEDS, Method.DROPOUT]


def train(task: Task, scans: tuple[LabelledScan, ...], workspace: Workspace | Path, method: Method) -> Generation:
    workspace = workspace if isinstance(workspace, Workspace) else Workspace(workspace)
    generation = train_ensemble(task, scans, workspace, kind=KINDS[method], device="cpu")
    assert generation is not None
    return generation


def quick(**settings: object) -> Task:
    """One step of one patch a stage: what is learnt does not matter."""
    return a_task(training={"iterations": 4, "batch_size": 1}, **settings)


@pytest.fixture(scope="module")
def baselines(
    tmp_path_factory: pytest.TempPathFactory, balls: tuple[LabelledScan, ...]
) -> dict[Method, tuple[Generation, TrainingLog]]:
    """Both, with what was trained for them."""
    workspace = Workspace(tmp_path_factory.mktemp("baselines"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        log = record_training(monkeypatch)
        made = {}
        for method in BASELINES:
            log.stages.clear()
            generation = train(quick(), balls[:3], workspace, method)
            made[method] = generation, TrainingLog()
            made[method][1].stages.extend(log.stages)
    return made


@pytest.mark.parametrize(("method", "networks"), [(Method.SEEDS, 7), (Method.DROPOUT, 1)])
def test_every_network_sees_all_labelled_scans_at_w_dsc(
    baselines: dict[Method, tuple[Generation, TrainingLog]],
    balls: tuple[LabelledScan, ...],
    method: Method,
    networks: int,
) -> None:
    generation, log = baselines[method]
    assert log.count() == 4 * networks
    assert {names for names, _ in log.stages} == {tuple(scan.name for scan in balls[:3])}
    assert {stage.loss_weight for _, stage in log.stages if stage.number == 4} == {(-1.0,)}
    assert len({stage.seed for _, stage in log.stages}) == 4 * networks
    assert (generation.method, generation.w_dsc) == (method, (-1.0,))
    assert (generation.task.fold_count, generation.task.offsets) == (NETWORKS, (0.0,))
    assert generation.task.network.dropout == (DROPOUT if method is Method.DROPOUT else 0)


def test_seeds_are_seven_networks_and_dropout_is_one(
    baselines: dict[Method, tuple[Generation, TrainingLog]],
) -> None:
    for method, networks in ((Method.SEEDS, 7), (Method.DROPOUT, 1)):
        generation, _ = baselines[method]
        files = [generation.path / "members" / f"fold_{fold}_offset_0.pt" for fold in range(NETWORKS)]
        assert len({file.read_bytes() for file in files}) == networks


@pytest.mark.parametrize("method", BASELINES)
def test_the_heatmap_is_the_mean_of_the_votes_and_the_segmentation_that_of_the_mean_softmax(
    baselines: dict[Method, tuple[Generation, TrainingLog]], method: Method
) -> None:
    scan, _ = a_ball_volume(6)
    ensemble = Ensemble(baselines[method][0], device="cpu")
    image = ensemble.preprocessing.apply_to_scan(scan)
    outputs = ensemble.run_members(image)
    assert outputs.segmentations.shape[:2] == (7, 1)
    for one, other in itertools.combinations(outputs.softmax, 2):
        assert np.abs(one - other).max() > 1e-4
    votes = (outputs.softmax.argmax(axis=1) == 1).mean(axis=0)
    np.testing.assert_allclose(ensemble.generation.calibration.heatmap(outputs)[0], votes, atol=1e-6)
    np.testing.assert_allclose(outputs.mean_softmax, outputs.softmax.mean(axis=0), atol=1e-6)
    # Threads and what ran before change nothing.
    again = Ensemble(baselines[method][0], device="cpu")
    np.testing.assert_array_equal(again.run_members(image).softmax, outputs.softmax)
    np.testing.assert_array_equal(ensemble.run_members(image).softmax, outputs.softmax)


@pytest.mark.parametrize("method", BASELINES)
def test_a_baseline_is_trained_once_and_is_never_served(
    copied: Trained, monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    log = record_training(monkeypatch)
    first = train(quick(), copied.scans, copied.workspace, method)
    assert copied.workspace.current() == copied.generation.id
    assert log.count() > 0
    log.stages.clear()
    before = tree(copied.workspace.root)
    # How the calibrated method makes its heatmap concerns no baseline.
    for task in (quick(), quick(heatmap="soft"), quick(folds="vote")):
        assert train(task, copied.scans, copied.workspace, method).id == first.id
    assert tree(copied.workspace.root) == before
    assert log.count() == 0
    # Members are found again where the generation is lost.
    for file in sorted(first.path.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    first.path.rmdir()
    assert train(quick(), copied.scans, copied.workspace, method).key == first.key
    assert log.count() == 0


def test_an_interrupted_baseline_goes_on(
    tmp_path: Path, balls: tuple[LabelledScan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(stage: str, done: int, total: int, /, **figures: float) -> None:
        if (stage, done) == ("training", 10):
            raise KeyboardInterrupt

    log = record_training(monkeypatch)
    workspace = Workspace(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train_ensemble(quick(), balls[:3], workspace, kind=KINDS[Method.SEEDS], device="cpu", progress=interrupt)
    kept = len(list(workspace.members.glob("[!.]*.pt")))
    assert 0 < kept < 28
    assert not workspace.generations.exists()
    log.stages.clear()
    train(quick(), balls[:3], workspace, Method.SEEDS)
    assert log.count() == 28 - kept
    assert workspace.current() is None


def test_w_dsc_is_that_of_the_calibrated_method_whose_members_are_reused(
    tmp_path: Path, balls: tuple[LabelledScan, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    task, workspace = quick(w_dsc="auto"), Workspace(tmp_path)
    calibrated = train(task, balls[:2], workspace, Method.CALIBRATED)
    log = record_training(monkeypatch)
    baseline = train(task, balls[:2], workspace, Method.DROPOUT)
    assert baseline.w_dsc == calibrated.w_dsc
    assert log.count() == 4


def test_training_with_dropout_repeats_exactly(tmp_path: Path, balls: tuple[LabelledScan, ...]) -> None:
    first, second = (train(quick(), balls[:2], tmp_path / name, Method.DROPOUT) for name in ("first", "second"))
    weights = [(one.path / "members" / "fold_0_offset_0.pt").read_bytes() for one in (first, second)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("method", BASELINES)
def test_a_baseline_knows_whom_it_has_seen_and_claims_no_dsc(
    baselines: dict[Method, tuple[Generation, TrainingLog]], balls: tuple[LabelledScan, ...], method: Method
) -> None:
    generation, _ = baselines[method]
    names = {scan.name for scan in balls[:3]}
    assert set(generation.fold_of_patient) == set(generation.metrics["dice_by_scan"]) == names
    assert generation.metrics["dice"] == {"lesion": None}
    assert generation.calibration.coefficients == ((1.0,),)
    assert generation.calibration.combination is FoldAggregation.MEAN
    assert generation.typical_volumes[0] > 0


def test_the_workspace_finds_the_newest_baselines_with_the_labels_of_the_current_generation(
    copied: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = copied.workspace
    assert workspace.baselines() == {}
    dropout = train(copied.task, copied.scans, workspace, Method.DROPOUT)
    assert {method: one.id for method, one in workspace.baselines().items()} == {Method.DROPOUT: dropout.id}
    # Another seed, published later: the clock of the folder's name may not have moved on.
    newer = train(copied.task.model_copy(update={"seed": 1}), copied.scans, workspace, Method.DROPOUT)
    later = newer.path.with_name(f"99990101T000000-{newer.key[:8]}")
    newer.path.rename(later)
    assert workspace.baselines()[Method.DROPOUT].path == later
    (later / "plan.json").unlink()
    assert workspace.baselines()[Method.DROPOUT].path == dropout.path
    assert "plan.json: cannot be read" in caplog.text
    # With fewer labels it is no match.
    train(copied.task, copied.scans[1:], workspace, Method.CALIBRATED)
    assert workspace.baselines() == {}


def test_a_baseline_of_another_schedule_is_no_match(copied: Trained, caplog: pytest.LogCaptureFixture) -> None:
    train(quick(), copied.scans, copied.workspace, Method.DROPOUT)
    assert copied.workspace.baselines() == {}
    assert "was trained with other settings than the model" in caplog.text


def test_a_baseline_of_a_renamed_class_is_no_match(copied: Trained) -> None:
    train(quick(labels={"tumour": 1}), copied.scans, copied.workspace, Method.DROPOUT)
    assert copied.workspace.baselines() == {}
