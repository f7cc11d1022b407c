"""`train`, `rank` and `predict` on phantoms, with a model that is trained in seconds."""

import json
import shlex
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from apps.calibrated_ensemble.command_line import run
from lib.dicom.series_writer import series_datasets
from lib.images.files import read_scan
from lib.models.workspace import Workspace
from lib.quality.estimated_dsc import estimated_dsc
from tests.tiny_studies import TinyStudies, copy_trained_studies


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TinyStudies:
    return copy_trained_studies(tmp_path_factory, tmp_path_factory.mktemp("trained"))


def run_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def train_arguments(trained: TinyStudies) -> list[str]:
    return ["train", "--studies", str(trained.folder), "--task", str(trained.task), "--device", "cpu"]


def test_training_again_gives_the_same_generation(trained: TinyStudies, capsys: pytest.CaptureFixture[str]) -> None:
    first = run_json(train_arguments(trained), capsys)
    again = run_json(train_arguments(trained), capsys)
    assert again["generation"] == first["generation"]
    assert again["scans"] == 4
    assert again["workspace"] == str(trained.folder / ".calibrated_ensemble")
    assert 0 <= again["dice"]["lesion"] <= 1
    assert first["scoring"]["skipped"] + first["scoring"]["scored"] == len(trained.unlabelled)
    assert again["scoring"] | {"seconds": 0} == {
        "generation": first["generation"],
        "scored": 0,
        "skipped": len(trained.unlabelled),
        "failed": {},
        "seconds": 0,
    }
    assert run(train_arguments(trained)) == 0
    assert "Cross-validated" in capsys.readouterr().out


def test_the_command_that_comes_next_names_the_workspace(
    trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "work space"
    shutil.copytree(trained.folder / ".calibrated_ensemble", workspace)
    assert run([*train_arguments(trained), "--workspace", str(workspace)]) == 0
    command = capsys.readouterr().err.split("Next: ")[1].split(", which")[0]
    assert run([*shlex.split(command)[1:], "--device", "cpu"]) == 0
    assert run(train_arguments(trained)) == 0
    assert "--workspace" not in capsys.readouterr().err


def test_a_baseline_is_trained_beside_the_model_that_is_served(
    trained: TinyStudies, capsys: pytest.CaptureFixture[str]
) -> None:
    served = run_json(train_arguments(trained), capsys)
    baseline = run_json([*train_arguments(trained), "--method", "dropout"], capsys)
    assert (served["method"], baseline["method"]) == ("calibrated", "dropout")
    assert baseline["generation"] != served["generation"]
    assert baseline["dice"] == {"lesion": None}
    assert baseline["scoring"] is None
    assert run([*train_arguments(trained), "--method", "dropout"]) == 0
    told = capsys.readouterr()
    assert "what is served stays" in told.err
    assert "Cross-validated" not in told.out
    ranking = run_json(["rank", "--studies", str(trained.folder), "--device", "cpu"], capsys)
    assert ranking["generation"] == served["generation"]
    assert run([*train_arguments(trained), "--method", "magic"]) == 2
    assert "magic" in capsys.readouterr().err


def test_the_ranking_holds_every_unlabelled_scan_least_certain_first(
    trained: TinyStudies, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_json(["rank", "--studies", str(trained.folder), "--device", "cpu"], capsys)
    assert {line["scan"] for line in result["ranking"]} == {files.name for files in trained.unlabelled}
    estimates = [line["mean_estimated_dsc"] for line in result["ranking"]]
    assert estimates == sorted(estimates)
    assert all(line["estimated_dsc"] == {"lesion": line["mean_estimated_dsc"]} for line in result["ranking"])
    assert run(["rank", "--studies", str(trained.folder)]) == 0
    table = capsys.readouterr().out
    assert table.index(result["ranking"][0]["scan"]) < table.index(result["ranking"][-1]["scan"])


def test_a_scan_that_cannot_be_read_is_ranked_last_with_its_reason(
    trained: TinyStudies, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = trained.folder / "broken.nii.gz"
    broken.write_bytes(trained.phantoms[0].scan.read_bytes()[:2000])
    try:
        line = run_json(["rank", "--studies", str(trained.folder), "--device", "cpu"], capsys)["ranking"][-1]
        assert line["scan"] == "broken"
        assert line["estimated_dsc"] is None
        assert line["mean_estimated_dsc"] is None
        assert "truncated" in line["error"]
        assert run(["rank", "--studies", str(trained.folder)]) == 0
        assert "broken: could not be scored" in capsys.readouterr().err
    finally:
        broken.unlink()


def test_a_prediction_lies_on_the_grid_of_its_scan_with_the_tasks_values(
    trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = [files.scan for files in trained.phantoms[:2]]
    output = tmp_path / "out"
    arguments = ["predict", *map(str, scans), "--output", str(output), "--studies", str(trained.folder)]
    result = run_json([*arguments, "--device", "cpu"], capsys)
    assert result["failed"] == {}
    assert [scan["scan"] for scan in result["scans"]] == ["phantom_000", "phantom_001"]
    for scan, path in zip(result["scans"], scans, strict=True):
        source = nib.load(path)
        name = scan["scan"]
        prediction = nib.load(output / f"{name}_prediction.nii.gz")
        heatmap = nib.load(output / f"{name}_heatmap.nii.gz")
        assert prediction.get_data_dtype() == np.uint8
        assert prediction.shape == source.shape
        assert heatmap.get_data_dtype() == np.float32
        assert heatmap.shape == (*source.shape, 1)
        for written in (prediction, heatmap):
            np.testing.assert_allclose(written.affine, source.affine, atol=1e-4)
        values = np.asanyarray(prediction.dataobj)
        h = np.asanyarray(heatmap.dataobj)[..., 0]
        assert set(np.unique(values)) <= {0, 3}
        assert 0 <= h.min() <= h.max() <= 1
        volume = 1.5 * 1.5 * 3.0
        stored = json.loads((output / f"{name}.json").read_text())
        assert stored == scan
        assert stored["volume_mm3"]["lesion"] == pytest.approx((values == 3).sum() * volume)
        assert stored["expected_volume_mm3"]["lesion"] == pytest.approx(h.sum() * volume, rel=1e-4)
        typical = json.loads(
            next(
                trained.folder.glob(f".calibrated_ensemble/generations/{scan['generation']}/calibration.json")
            ).read_text()
        )
        expected = estimated_dsc(
            h[None],
            (values == 3).astype(np.uint8),
            voxel_volume=volume,
            typical_volumes=typical["typical_volumes"],
        )
        assert stored["estimated_dsc"]["lesion"] == pytest.approx(expected[0], abs=1e-5)


def test_a_scan_that_cannot_be_read_does_not_stop_the_others(
    trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image")
    output = tmp_path / "out"
    arguments = ["predict", str(broken), str(trained.phantoms[0].scan), "--output", str(output)]
    assert run([*arguments, "--studies", str(trained.folder), "--json"]) == 2
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert list(result["failed"]) == [str(broken)]
    assert [scan["scan"] for scan in result["scans"]] == ["phantom_000"]
    assert f"calibrated-ensemble: {broken}: cannot be read as an image" in said.err
    assert sorted(path.name for path in output.iterdir()) == [
        "phantom_000.json",
        "phantom_000_heatmap.nii.gz",
        "phantom_000_prediction.nii.gz",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "hippocampus"], "is of the task tiny with lesion"),
        (["--preset", "paper"], "has the preset demo"),
    ],
)
def test_a_model_of_another_task_or_preset_is_refused(
    trained: TinyStudies, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["rank", "--studies", str(trained.folder), *options]) == 2
    assert message in capsys.readouterr().err
    assert run(["rank", "--studies", str(trained.folder), "--task", str(trained.task), "--preset", "demo"]) == 0


def test_nothing_is_predicted_outside_the_region(
    trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = trained.phantoms[1]
    arguments = ["predict", str(files.scan), "--studies", str(trained.folder), "--device", "cpu"]
    region = tmp_path / "masks" / files.scan.name

    def heatmap(name: str, options: list[str]) -> np.ndarray:
        assert run([*arguments, "--output", str(tmp_path / name), *options]) == 0
        assert ("no --region is given" in capsys.readouterr().err) == (not options)
        return nib.load(tmp_path / name / "phantom_001_heatmap.nii.gz").get_fdata()[..., 0]

    whole = heatmap("whole", [])
    inside = np.ones(whole.shape, np.uint8)
    inside[int(np.median(np.nonzero(whole)[0])) :] = 0
    region.parent.mkdir()
    nib.save(nib.Nifti1Image(inside, nib.load(files.scan).affine), region)
    masked = heatmap("mask", ["--region", str(region)])
    assert whole[inside == 0].max() > 0
    np.testing.assert_array_equal(masked, whole * inside)
    np.testing.assert_array_equal(heatmap("folder", ["--region", str(region.parent)]), masked)
    region.rename(region.with_name(region.name.replace(".nii.gz", ".NII.GZ")))
    np.testing.assert_array_equal(heatmap("capitals", ["--region", str(region.parent)]), masked)


def test_a_region_without_a_mask_of_the_scan_is_told(
    trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", str(trained.phantoms[0].scan), "--studies", str(trained.folder)]
    assert run([*arguments, "--output", str(tmp_path / "out"), "--region", str(tmp_path)]) == 2
    assert "holds no mask of phantom_000" in capsys.readouterr().err


def test_two_scans_of_one_name_are_refused(
    trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = str(trained.phantoms[0].scan)
    arguments = ["predict", scan, scan, "--output", str(tmp_path), "--studies", str(trained.folder)]
    assert run(arguments) == 2
    assert "phantom_000: 2 scans have this name" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_told(
    trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    arguments = ["predict", str(trained.phantoms[0].scan), "--output", str(tmp_path / "file" / "out")]
    assert run([*arguments, "--studies", str(trained.folder)]) == 1
    assert "cannot be written" in capsys.readouterr().err


def write_series(trained: TinyStudies, folder: Path) -> Path:
    folder.mkdir()
    volume = read_scan(trained.unlabelled[0].scan)
    for number, image in enumerate(series_datasets(volume, modality="CT", patient_id="1", entropy="predict")):
        image.save_as(folder / f"{number}.dcm", write_like_original=False)
    return folder


def test_the_heatmap_of_a_dicom_series_is_written_as_parametric_map_of_that_series(
    trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series, output = write_series(trained, tmp_path / "series"), tmp_path / "out"
    result = run_json(
        ["predict", str(series), "--output", str(output), "--studies", str(trained.folder), "--dicom"], capsys
    )
    assert result["scans"][0]["scan"] == "series"
    heatmap = nib.load(output / "series_heatmap.nii.gz")
    values = np.asanyarray(heatmap.dataobj)[..., 0]
    stored = pydicom.dcmread(output / "series_heatmap_lesion.dcm")
    frames = np.frombuffer(stored.FloatPixelData, np.float32).reshape(-1, stored.Rows, stored.Columns)
    source = pydicom.dcmread(series / "0.dcm")
    assert stored.StudyInstanceUID == source.StudyInstanceUID
    assert stored.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID
    assert values.max() > 0.1
    # Frame by frame through the position that each one states.
    inverse = np.linalg.inv(heatmap.affine)
    for frame, groups in zip(frames, stored.PerFrameFunctionalGroupsSequence, strict=True):
        x, y, z = groups.PlanePositionSequence[0].ImagePositionPatient
        slice_index = round((inverse @ [-x, -y, z, 1])[2])
        np.testing.assert_array_equal(frame, values[:, :, slice_index].T)


def test_heatmaps_as_dicom_need_dicom(trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan, output = str(trained.phantoms[0].scan), tmp_path / "out"
    assert run(["predict", scan, "--output", str(output), "--studies", str(trained.folder), "--dicom"]) == 2
    assert "is no folder; give folders of one DICOM series each" in capsys.readouterr().err
    assert not output.exists()


def test_a_database_that_cannot_be_used_costs_the_scores_and_not_the_training(
    trained: TinyStudies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "database.sqlite").write_text("no database at all, but a text of some length" * 99)
    assert run([*train_arguments(trained), "--workspace", str(workspace)]) == 1
    assert "not a database" in capsys.readouterr().err
    assert Workspace(workspace).generation().metrics["scans"] == 4
