"""MONAI Label's own client walks the whole loop against the real server and a real PACS."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from monailabel.client.client import MONAILabelClientException

from apps.calibrated_ensemble.command_line import run
from lib.dicom.segmentation_reader import read_segmentation
from lib.dicom.segmentation_writer import segmentation_dataset
from lib.dicom.series import series_grid
from lib.dicom.series_writer import series_datasets
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.simulation.phantoms import Phantom, make_phantom
from tests.apps.servers.running_orthanc import RunningOrthanc
from tests.apps.servers.running_server import RunningServer

LABELLED, UNLABELLED = 4, 3
LESION = 3
SECRETS = ("MRN-", "Sensitive")
TASK = f"""\
name: tiny
modality: CT
labels: {{lesion: {LESION}}}
spacing: [3.0, 3.0, 3.0]
w_dsc: 0
offsets: [-1, 0, 1]
fold_count: 2
preset: demo
network: {{init_filters: 4, blocks_down: [1, 1]}}
training: {{iterations: 60, batch_size: 2, patch_voxels: 4096}}
"""


def phantom(index: int) -> Phantom:
    # Axes as those of axial and coronal images, so that a mixed-up axis cannot hide.
    return make_phantom(index, orientation=("LPS", "LIP")[index % 2])


def series_of(index: int) -> list[pydicom.Dataset]:
    return series_datasets(
        phantom(index).scan,
        modality=("CT", "MR")[index % 2],
        patient_id=f"MRN-{index}",
        patient_name=f"Sensitive^Name{index}",
        entropy=f"pacs loop {index}",
        descending=index == LABELLED,
    )


def uid(index: int) -> str:
    return str(series_of(index)[0].SeriesInstanceUID)


def label_of(index: int) -> np.ndarray:
    """Label on the grid of the series, which may count its slices the other way round than the phantom."""
    grid, made = series_grid(series_of(index)), phantom(index).label
    indices = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    world = nib.affines.apply_affine(grid.affine, indices)
    there = np.rint(nib.affines.apply_affine(np.linalg.inv(made.affine), world)).astype(int)
    return made.array[tuple(np.moveaxis(there, -1, 0))] * np.uint8(LESION)


@dataclass
class Loop:
    orthanc: RunningOrthanc
    server: RunningServer
    broken: str
    task: Path
    details: str = ""

    def stored(self, modality: str, scan: str) -> list[pydicom.Dataset]:
        """Objects of a modality that refer to a scan, as Orthanc holds them."""
        client = self.orthanc.client()
        found = []
        for entry in client.search_for_series(search_filters={"Modality": modality}):
            study, series = (entry[tag]["Value"][0] for tag in ("0020000D", "0020000E"))
            found += client.retrieve_series(study, series)
        return [one for one in found if one.ReferencedSeriesSequence[0].SeriesInstanceUID == scan]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    folder = tmp_path_factory.mktemp("loop")
    task = folder / "tiny.yaml"
    task.write_text(TASK)
    with RunningOrthanc(folder / "orthanc") as orthanc:
        for index in range(LABELLED + UNLABELLED):
            orthanc.store(series_of(index))
        for index in range(LABELLED):
            orthanc.store([write_segmentation(index)])
        broken = write_segmentation(LABELLED)
        broken.SegmentationType = "FRACTIONAL"
        orthanc.store([broken])
        conf = {"task": str(task), "workspace": str(folder / "workspace"), "store_heatmaps": "true"}
        server = RunningServer(orthanc.url, folder, conf)
        try:
            loop = Loop(orthanc, server, str(broken.SeriesInstanceUID), task)
            server.client().train_start("ensemble", {})
            state = server.finish("train")
            assert state["status"] == "DONE", "\n".join(state["details"])
            loop.details = "\n".join(state["details"])
            yield loop
            server.stop()
        finally:
            server.kill()


def write_segmentation(index: int) -> pydicom.Dataset:
    return segmentation_dataset(
        label_of(index), series_of(index), labels={"lesion": LESION}, colours={"lesion": (255, 0, 0)}
    )


def test_scans_and_labels_of_the_pacs_are_trained_on_and_scored(loop: Loop) -> None:
    info = loop.server.client().info()
    assert info["generation"]
    assert info["datastore"]["total"] == LABELLED + UNLABELLED
    assert info["datastore"]["completed"] >= LABELLED
    worklist = loop.server.request("GET", "/worklist/").json()
    assert all(scan["mean_estimated_dsc"] is not None for scan in worklist["scans"])
    assert all(scan["study"] for scan in worklist["scans"])


def test_the_command_line_works_against_the_pacs_as_against_a_folder(
    loop: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    project = ["--studies", loop.orthanc.url, "--workspace", str(loop.server.workspace), "--device", "cpu", "--json"]
    assert run(["rank", *project]) == 0
    ranked = json.loads(capsys.readouterr().out)
    worklist = loop.server.request("GET", "/worklist/").json()
    assert ranked["generation"] == worklist["generation"]
    assert [line["scan"] for line in ranked["ranking"]] == [scan["id"] for scan in worklist["scans"]]
    assert {line["scan"] for line in ranked["ranking"]} == {
        uid(index) for index in range(LABELLED, LABELLED + UNLABELLED)
    }
    assert run(["train", *project, "--task", str(loop.task)]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert (trained["generation"], trained["scans"]) == (ranked["generation"], LABELLED)
    assert (trained["scoring"]["scored"], trained["scoring"]["skipped"]) == (0, UNLABELLED)


def test_an_unreadable_segmentation_is_reported_and_does_not_stop_training(loop: Loop) -> None:
    assert "FRACTIONAL" in loop.server.client().info()["datastore"]["unusable_labels"][loop.broken]


def test_a_result_lies_where_the_series_lies(loop: Loop) -> None:
    for index in range(LABELLED, LABELLED + UNLABELLED):
        grid = series_grid(series_of(index))
        file, params = loop.server.client().infer("calibrated_ensemble", uid(index), {"result_dtype": "uint8"})
        result = nib.load(file)
        assert result.shape == grid.shape
        np.testing.assert_allclose(result.affine, grid.affine, atol=1e-3)
        assert 0 <= params["estimated_dsc"]["lesion"] <= 1


def test_each_scored_scan_has_its_heatmap_as_a_parametric_map(loop: Loop) -> None:
    for index in range(LABELLED, LABELLED + UNLABELLED):
        (stored,) = loop.stored("OT", uid(index)) + loop.stored("PM", uid(index))
        file, _ = loop.server.client().infer("heatmap", uid(index), {})
        heatmap = nib.load(file)
        values = np.asanyarray(heatmap.dataobj)
        inverse = np.linalg.inv(heatmap.affine)
        frames = np.frombuffer(stored.FloatPixelData, np.float32).reshape(-1, stored.Rows, stored.Columns)
        for frame, groups in zip(frames, stored.PerFrameFunctionalGroupsSequence, strict=True):
            x, y, z = groups.PlanePositionSequence[0].ImagePositionPatient
            np.testing.assert_allclose(frame, values[:, :, round((inverse @ [-x, -y, z, 1])[2])].T, atol=1e-6)


def test_the_heatmap_in_levels_and_the_places_to_look_at(loop: Loop) -> None:
    client, scan = loop.server.client(), uid(LABELLED + 1)
    exact, _ = client.infer("heatmap", scan, {})
    levels, params = client.infer("heatmap", scan, {"result_dtype": "uint8", "levels": 255})
    h, rounded = (np.asanyarray(nib.load(file).dataobj) for file in (exact, levels))
    assert rounded.dtype == np.uint8
    np.testing.assert_array_equal(rounded, np.rint(h * np.float32(255)))
    assert params["uncertain_places"]
    inverse = np.linalg.inv(nib.load(exact).affine)
    for place in params["uncertain_places"]:
        x, y, z = place["lps_mm"]
        assert 0.2 <= h[tuple(np.rint(inverse @ [-x, -y, z, 1])[:3].astype(int))] <= 0.8
    for wrong in ({"levels": 300}, {"levels": True}, {"levels": 255, "result_dtype": "float32"}):
        with pytest.raises(MONAILabelClientException, match="levels: is"):
            client.infer("heatmap", scan, {"result_dtype": "uint8"} | wrong)


def test_labels_arrive_voxel_for_voxel_until_nothing_is_left(loop: Loop, tmp_path: Path) -> None:
    first, second = loop.server.client("first"), loop.server.client("second")
    waiting = {uid(index): index for index in range(LABELLED, LABELLED + UNLABELLED)}
    held = [client.next_sample("least_certain", {}) for client in (first, second, first)]
    assert {sample["id"] for sample in held} == set(waiting)
    assert held[0]["mean_estimated_dsc"] <= held[1]["mean_estimated_dsc"] <= held[2]["mean_estimated_dsc"]
    for sample in held:
        label = label_of(waiting[sample["id"]])
        file = tmp_path / f"{sample['id']}.nii.gz"
        file.write_bytes(loop.server.request("GET", "/datastore/image", params={"image": sample["id"]}).content)
        write_volume(file, Volume(label, nib.load(file).affine))
        saved = first.save_label(sample["id"], str(file), params={"label_info": [{"name": "lesion", "idx": LESION}]})
        assert saved["voxels"] == {"lesion": int(np.count_nonzero(label))}
        newest = max(loop.stored("SEG", sample["id"]), key=lambda one: (one.ContentDate, one.ContentTime))
        grid = series_grid(series_of(waiting[sample["id"]]))
        np.testing.assert_array_equal(read_segmentation(newest, grid, labels={"lesion": LESION}), label)
        downloaded = loop.server.request("GET", "/datastore/label", params={"label": sample["id"], "tag": "final"})
        assert downloaded.ok
    info = first.info()
    assert info["datastore"]["completed"] == info["datastore"]["total"] == LABELLED + UNLABELLED
    answer = loop.server.request("POST", "/activelearning/least_certain", json={"client_id": "first"})
    assert answer.status_code == 404
    assert "labelled" in answer.json()["detail"]["message"]
    assert loop.server.request("GET", "/datastore/?output=train").json()


def test_no_patient_is_named_outside_the_pacs(loop: Loop) -> None:
    files = [path for path in loop.server.workspace.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in [*files, loop.server.log]:
        for secret in SECRETS:
            assert secret not in str(path)
            assert secret.encode() not in path.read_bytes(), f"{path} holds {secret}"


def test_the_stock_viewer_and_the_new_one_are_both_there(loop: Loop) -> None:
    assert loop.server.request("GET", "/ohif/").ok
    # Without an installation of OHIF the answer says what to do.
    assert loop.server.request("GET", "/viewer/").status_code in (200, 503)


def test_unknown_scans_are_answered_with_404(loop: Loop) -> None:
    def status(method: str, path: str, **options: Any) -> int:
        return loop.server.request(method, path, **options).status_code

    assert status("POST", "/infer/calibrated_ensemble?image=1.2.3") == 404
    assert status("POST", "/worklist/lease?image=1.2.3", json={"client_id": "x"}) == 404
    assert status("PUT", "/datastore/label?image=1.2.3", files={"label": ("label.nii.gz", b"")}) == 404
