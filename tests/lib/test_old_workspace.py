"""A workspace that version 0.1.0 made, before the rooms: it is served unchanged, and nothing in it is trained again.

`workspace_0_1.tar.xz` holds the tiny task, trained on four balls, without prepared scans and early stages; a fifth
ball and its prediction by that version are beside it.
"""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from lib.datasets.scans import LabelledScan
from lib.ensemble_training.train import train_ensemble
from lib.images.files import read_scan
from lib.models.ensemble import Ensemble
from lib.models.workspace import Workspace
from tests.tiny_training import record_training

GENERATION = "20261128T100856-565dc4dd"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(Path(__file__).with_name("workspace_0_1.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def workspace(old: Path) -> Workspace:
    return Workspace(old / "workspace")


@pytest.fixture
def scans(old: Path) -> list[LabelledScan]:
    balls = [f"ball_{index}" for index in range(4)]
    return [
        LabelledScan(name, *(old / "balls" / part / f"{name}.nii.gz" for part in ("images", "labels")), patient=name)
        for name in balls
    ]


def test_it_is_served_unchanged(old: Path, workspace: Workspace) -> None:
    generation = workspace.generation()
    assert generation.id == GENERATION
    prediction = Ensemble(generation, device="cpu").predict(read_scan(old / "balls/images/ball_4.nii.gz"))
    with np.load(old / "expected.npz") as expected:
        assert np.mean(prediction.segmentation == expected["segmentation"]) > 0.999
        # On another processor a vote may turn.
        assert np.mean(np.abs(prediction.heatmap - expected["heatmap"]) < 1e-3) > 0.999


def test_training_again_finds_what_was_published(
    workspace: Workspace, scans: list[LabelledScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    found = train_ensemble(workspace.generation().task, scans, workspace, device="cpu")
    assert found is not None
    assert found.id == GENERATION
    assert log.count() == 0


def test_members_and_evaluations_keep_their_keys(
    workspace: Workspace, scans: list[LabelledScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    published = workspace.generation()
    kept = {path.name for folder in (workspace.members, workspace.out_of_fold) for path in folder.glob("*.*")}
    shutil.rmtree(workspace.generations)
    log = record_training(monkeypatch)
    again = train_ensemble(published.task, scans, workspace, device="cpu")
    assert again is not None
    assert log.count() == 0
    assert {path.name for folder in (workspace.members, workspace.out_of_fold) for path in folder.glob("*.*")} == kept
    assert again.key == published.key
    np.testing.assert_allclose(again.calibration.coefficients, published.calibration.coefficients, atol=1e-6)
