"""A studies folder with the workspace that version 0.1.0 (commit 0575705) left in it: everything goes on as it was.

The archive holds the phantoms and the task of `tests.tiny_studies` with two filters, their `train`, `train --method
dropout` and `rank`, and in `expected` what its `predict` wrote of one scan.
"""

import json
import tarfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from apps.calibrated_ensemble.command_line import run
from lib.models.workspace import Workspace
from tests.tiny_training import record_training

ARCHIVE = Path(__file__).resolve().parents[2] / "workspaces" / "version_0_1_0.tar.gz"
GENERATION = "20261128T092803-ec5fb6af"
SCAN = "phantom_003"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("version_0_1_0")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert run([*arguments, "--device", "cpu", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_its_model_predicts_what_it_predicted(
    unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies, expected = unpacked / "studies", unpacked / "expected"
    scan, region = studies / f"{SCAN}.nii.gz", studies / "labels" / "organ" / f"{SCAN}.nii.gz"
    arguments = ("predict", str(scan), "--region", str(region), "--studies", str(studies), "--output", str(tmp_path))
    (predicted,) = told(capsys, *arguments)["scans"]
    before = json.loads((expected / f"{SCAN}.json").read_text())
    assert predicted["generation"] == before["generation"] == GENERATION
    # Processors differ in the last digits, and a vote that flips moves a voxel.
    assert predicted["estimated_dsc"] == pytest.approx(before["estimated_dsc"], abs=0.02)
    assert predicted["expected_volume_mm3"] == pytest.approx(before["expected_volume_mm3"], rel=0.02)
    labels, old_labels = (
        np.asanyarray(nib.load(folder / f"{SCAN}_prediction.nii.gz").dataobj) for folder in (tmp_path, expected)
    )
    assert np.count_nonzero(labels != old_labels) <= 0.02 * np.count_nonzero(old_labels)
    heatmap, old_heatmap = (nib.load(folder / f"{SCAN}_heatmap.nii.gz").get_fdata() for folder in (tmp_path, expected))
    assert np.abs(heatmap - old_heatmap).sum() <= 0.02 * old_heatmap.sum()


def test_its_scores_are_ranked_as_they_are(unpacked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ranked = told(capsys, "rank", "--studies", str(unpacked / "studies"))
    assert ranked["generation"] == GENERATION
    # To the last digit, so that nothing was scored again.
    assert [(line["scan"], line["estimated_dsc"]["lesion"]) for line in ranked["ranking"]] == [
        ("phantom_003", 0.46014882274226687),
        ("phantom_005", 0.48207263091367275),
        ("phantom_006", 0.5953578084841595),
    ]


def test_training_on_the_same_labels_trains_nothing(
    unpacked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    arguments = ("train", "--studies", str(unpacked / "studies"), "--task", str(unpacked / "tiny.yaml"))
    assert told(capsys, *arguments)["generation"] == GENERATION
    assert log.count() == 0


def test_its_baseline_is_compared_with_the_model(unpacked: Path) -> None:
    workspace = Workspace(unpacked / "studies" / ".calibrated_ensemble")
    assert [(str(method), found.id) for method, found in workspace.baselines().items()] == [
        ("dropout", "20261128T092805-32dd1628")
    ]
