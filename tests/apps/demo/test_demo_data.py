"""The demo with a task and phantoms small enough for a test."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from apps.calibrated_ensemble.command_line import run
from apps.calibrated_ensemble.commands.serve import APP_FOLDER
from apps.calibrated_ensemble.demo import demo_data as demo_data_module
from apps.calibrated_ensemble.demo.demo_data import make_demo_data, true_dice, use_demo_data
from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path
from lib.simulation.phantoms import write_phantoms
from tests.tiny_studies import TASK


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four labelled and three unlabelled phantoms, and a `phantom` task that is trained in seconds."""
    monkeypatch.setattr(demo_data_module, "LABELLED", 4)
    monkeypatch.setattr(demo_data_module, "UNLABELLED", 3)
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "phantom.yaml").write_text(
        TASK.replace("lesion: 3", "lesion: 1").replace("tiny", "phantom").replace("region: organ\n", "")
    )
    monkeypatch.setattr("apps.calibrated_ensemble.tasks.task_files.FOLDER", tasks)
    monkeypatch.chdir(tmp_path)


def run_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_demo_ranks_phantoms_and_compares_with_the_truth(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = run_json(["demo", "--no-serve", "--device", "cpu"], capsys)
    ranking = figures["ranking"]
    assert len(ranking) == 3
    estimates = [line["mean_estimated_dsc"] for line in ranking]
    assert [line["estimated_dsc"] for line in ranking] == [{"lesion": estimate} for estimate in estimates]
    assert estimates == sorted(estimates)
    true = [line["true_dsc"] for line in ranking]
    assert figures["mean_absolute_error"] == pytest.approx(np.abs(np.subtract(estimates, true)).mean())
    with Image.open(figures["picture"]) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300

    # The same figures from the files that `predict` writes.
    scans = [f"demo/phantoms/imagesTr/{line['scan']}.nii.gz" for line in ranking]
    run_json(["predict", *scans, "--output", "out", "--studies", "demo/studies", "--device", "cpu"], capsys)
    for line in ranking:
        name = line["scan"]
        predicted = nib.load(f"out/{name}_prediction.nii.gz").get_fdata() == 1
        label = nib.load(f"demo/phantoms/labelsTr/{name}.nii.gz").get_fdata() == 1
        dice = 2 * (predicted & label).sum() / (predicted.sum() + label.sum())
        assert line["true_dsc"] == pytest.approx(dice, abs=1e-5)
        heatmap = nib.load(f"out/{name}_heatmap.nii.gz").get_fdata()[..., 0]
        posterior = nib.load(f"demo/phantoms/posteriorsTr/{name}.nii.gz").get_fdata()
        anywhere = (heatmap > 0.01) | (posterior > 0.01)
        assert line["heatmap_error"] == pytest.approx(np.abs(heatmap - posterior)[anywhere].mean(), abs=1e-5)

    # A second run trains nothing.
    members = {path: path.stat().st_mtime_ns for path in Path("demo").rglob("*.pt")}
    again = run_json(["demo", "--no-serve", "--device", "cpu"], capsys)
    assert {path: path.stat().st_mtime_ns for path in Path("demo").rglob("*.pt")} == members
    assert again["training"]["generation"] == figures["training"]["generation"]
    assert [line["scan"] for line in again["ranking"]] == [line["scan"] for line in ranking]

    assert run(["demo", "--no-serve", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "true DSC %" in shown
    assert "Heatmap against true probability" in shown


def test_the_demo_ends_as_the_server(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_phantoms(tmp_path / "real", 7)
    (tmp_path / "real" / "imagesTr").rename(tmp_path / "studies")
    (tmp_path / "real" / "labelsTr").rename(tmp_path / "final")
    (tmp_path / "studies" / "labels").mkdir()
    (tmp_path / "final").rename(tmp_path / "studies" / "labels" / "final")
    for number in (4, 5, 6):
        (tmp_path / "studies" / "labels" / "final" / f"phantom_00{number}.nii.gz").unlink()
    started: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda *arguments: started.append(arguments[1]))
    arguments = ["demo", "--studies", "studies", "--task", "phantom", "--device", "cpu", "--port", "18734"]
    assert run(arguments) == 0
    said = capsys.readouterr()
    assert "Open http://127.0.0.1:18734 in a browser" in said.err
    assert "estimated DSC %" in said.out
    assert "true DSC %" not in said.out
    command = started[0]
    assert command[command.index("--app") + 1] == str(APP_FOLDER)
    assert command[command.index("--studies") + 1] == str(tmp_path / "studies")
    # A trial leaves no model in the folder of real scans.
    assert not (tmp_path / "studies" / ".calibrated_ensemble").exists()
    assert str(tmp_path / "demo" / "workspace_studies") in command


def test_phantoms_without_a_label_keep_their_truth_outside_the_studies(tmp_path: Path) -> None:
    demo_data = make_demo_data(tmp_path)
    names = {path.name for path in demo_data.studies.glob("*.nii.gz")}
    labelled = {path.name for path in (demo_data.studies / "labels" / "final").iterdir()}
    assert len(names) == 40
    assert len(labelled) == 16
    assert demo_data.labels is not None
    assert demo_data.posteriors is not None
    assert {path.name for path in demo_data.labels.iterdir()} == names
    assert {path.name for path in demo_data.posteriors.iterdir()} == names


def test_of_a_decathlon_folder_some_labels_are_taken_and_the_rest_is_the_truth(tmp_path: Path) -> None:
    write_phantoms(tmp_path / "liver", 10)
    demo_data = use_demo_data(tmp_path / "liver", tmp_path / "demo")
    assert demo_data.studies == tmp_path / "demo" / "studies_liver"
    assert len(list((demo_data.studies / "labels" / "final").iterdir())) == 4
    assert demo_data.labels == tmp_path / "liver" / "labelsTr"
    assert demo_data.posteriors is None


def test_true_dice_counts_a_class_in_neither_as_agreement() -> None:
    task = task_by_name_or_path("hippocampus")
    segmentation, label = np.zeros((2, 4, 4, 4), np.uint8)
    segmentation[:2], label[1:3] = 1, 1
    assert true_dice(segmentation, label, task) == {"anterior": pytest.approx(0.5), "posterior": 1.0}
