"""The OHIF demo with a real Orthanc, and a task and phantoms small enough for a test."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import psutil
import pytest
from dicomweb_client import DICOMwebClient
from pydicom import Dataset

from apps.calibrated_ensemble.command_line import run
from apps.calibrated_ensemble.demo import ohif_demo as demo_ohif
from apps.calibrated_ensemble.demo import pacs_material as demo_pacs
from apps.calibrated_ensemble.demo.orthanc import OrthancFiles, find_orthanc, local_orthanc
from lib.dicom.series_writer import series_datasets
from lib.errors import InputError
from lib.simulation.phantoms import make_phantom
from tests.apps.servers.running_orthanc import RunningOrthanc
from tests.tiny_studies import TASK

FOLDER = Path("demo/ohif")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four labelled and two unlabelled phantoms, and a `phantom` task that is trained in seconds."""
    try:
        find_orthanc()
    except InputError as error:
        pytest.skip(str(error))
    monkeypatch.setattr(demo_pacs, "LABELLED", 4)
    monkeypatch.setattr(demo_pacs, "UNLABELLED", 2)
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "phantom.yaml").write_text(
        TASK.replace("lesion: 3", "lesion: 1").replace("tiny", "phantom").replace("region: organ\n", "")
    )
    monkeypatch.setattr("apps.calibrated_ensemble.tasks.task_files.FOLDER", tasks)
    monkeypatch.chdir(tmp_path)


@contextmanager
def the_pacs() -> Iterator[DICOMwebClient]:
    with local_orthanc(FOLDER / "orthanc", find_orthanc()) as url:
        yield DICOMwebClient(url)


def series(client: DICOMwebClient, modality: str) -> dict[str, Dataset]:
    found = [Dataset.from_json(entry) for entry in client.search_for_series(search_filters={"Modality": modality})]
    return {str(header.SeriesInstanceUID): header for header in found}


def run_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def write_series(folder: Path, *, patient: str, entropy: str) -> list[Dataset]:
    folder.mkdir(parents=True, exist_ok=True)
    datasets = series_datasets(make_phantom(0).scan, modality="MR", patient_id=patient, entropy=entropy)
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number}", write_like_original=False)
    return datasets


def test_the_demo_fills_the_pacs_trains_and_scores_once(small: None, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run_json(["demo-ohif", "--no-serve", "--device", "cpu"], capsys)
    assert figures["datastore"]["total"] == 6
    assert figures["datastore"]["completed"] == 4
    assert (figures["scored"], figures["failed"]) == (2, [])
    assert figures["viewer"] is None
    assert [child.name() for child in psutil.Process().children()].count("Orthanc") == 0
    members = {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*.pt")}
    assert members

    with the_pacs() as client:
        scans, segmentations = series(client, "CT"), series(client, "SEG")
        assert len(scans) == 6
        assert len(segmentations) == 4
        voxels = {}
        for uid, header in segmentations.items():
            (instance,) = client.retrieve_series(str(header.StudyInstanceUID), uid)
            stored = hd.seg.Segmentation.from_dataset(instance)
            source = stored.ReferencedSeriesSequence[0].SeriesInstanceUID
            voxels[scans[source].SeriesDescription] = int(np.count_nonzero(stored.pixel_array))
        for index in range(4):
            label = make_phantom(index, orientation="LPS").label.array
            assert voxels[f"Phantom {index}"] == np.count_nonzero(label)

    again = run_json(["demo-ohif", "--no-serve", "--device", "cpu"], capsys)
    assert again["pacs"] == figures["pacs"]
    assert again["training"]["generation"] == figures["training"]["generation"]
    assert again["scored"] == 0
    assert {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*.pt")} == members
    with the_pacs() as client:
        assert series(client, "CT").keys() == scans.keys()
        assert series(client, "SEG").keys() == segmentations.keys()


def test_what_an_interrupted_run_did_not_store_is_stored_by_the_next(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[Dataset] = []

    class LimitedPacs(demo_ohif.PacsClient):
        def store(self, dataset: Dataset) -> None:
            if len(stored) == 30:
                raise KeyboardInterrupt
            super().store(dataset)
            stored.append(dataset)

    with monkeypatch.context() as patch:
        patch.setattr(demo_ohif, "PacsClient", LimitedPacs)
        assert run(["demo-ohif", "--no-serve", "--device", "cpu"]) == 130
    assert run(["demo-ohif", "--no-serve", "--device", "cpu"]) == 0
    with the_pacs() as client:
        assert {header.NumberOfSeriesRelatedInstances for header in series(client, "CT").values()} == {20}
        assert len(series(client, "SEG")) == 4


def test_the_demo_ends_as_the_server_with_one_link(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    answers: list[bool] = []

    def become(program: str, command: list[str], environment: dict[str, str]) -> None:
        started.append(command)
        answers.append(DICOMwebClient(command[command.index("--studies") + 1]).search_for_series() != [])

    installed: list[Path | None] = []
    monkeypatch.setattr(os, "execve", become)
    monkeypatch.setattr(demo_ohif, "find_viewer", lambda _: None)
    monkeypatch.setattr(demo_ohif, "run_viewer_install", lambda folder, **_: installed.append(folder))
    assert run(["demo-ohif", "--device", "cpu", "--port", "18735"]) == 0
    said = capsys.readouterr().err
    assert said.count("http://") == 1
    assert "Open http://127.0.0.1:18735/viewer/ in a browser" in said
    assert installed == [None]
    assert answers == [True]
    assert str(tmp_path / FOLDER / "workspace") in started[0]


def test_a_folder_of_dicom_files_is_added_once(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write_series(tmp_path / "mine" / "a", patient="one", entropy="first")
    write_series(tmp_path / "mine" / "b", patient="two", entropy="second")
    (tmp_path / "mine" / "notes.txt").write_text("not a DICOM file")
    for _ in range(2):
        figures = run_json(["demo-ohif-add", "mine"], capsys)
        assert (figures["series"], figures["instances"]) == (2, 2 * len(mine))
        assert figures["left_out"] == ["mine/notes.txt"]
        with the_pacs() as client:
            added = series(client, "MR")
        assert len(added) == 2
        assert added[mine[0].SeriesInstanceUID].NumberOfSeriesRelatedInstances == len(mine)


def test_files_are_added_to_a_pacs_that_runs(small: None, tmp_path: Path) -> None:
    write_series(tmp_path / "mine", patient="one", entropy="first")
    with the_pacs() as client:
        assert run(["demo-ohif-add", "mine"]) == 0
        assert len(series(client, "MR")) == 1


@pytest.mark.parametrize(
    ("made", "part"), [(False, "mine: no such folder"), (True, "mine: holds no DICOM files (1 others)")]
)
def test_a_folder_without_dicom_files_is_refused(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], made: bool, part: str
) -> None:
    if made:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "notes.txt").write_text("not a DICOM file")
    assert run(["demo-ohif-add", "mine"]) == 2
    assert part in capsys.readouterr().err


def test_no_phantom_goes_to_a_pacs_with_scans_of_patients(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunningOrthanc(tmp_path / "clinical") as clinical:
        clinical.store(write_series(tmp_path / "series", patient="real", entropy="real"))
        assert run(["demo-ohif", "--no-serve", "--pacs", clinical.url]) == 2
        assert "holds 1 scans that are not the demo's" in capsys.readouterr().err
        assert not series(clinical.client(), "CT")


def test_an_empty_pacs_of_ones_own_is_filled(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunningOrthanc(tmp_path / "own") as own:
        figures = run_json(["demo-ohif", "--no-serve", "--device", "cpu", "--pacs", own.url + "/"], capsys)
        assert figures["pacs"] == own.url
        assert len(series(own.client(), "SEG")) == 4
        # With the demo's scans in it, others do not matter.
        own.store(write_series(tmp_path / "series", patient="another", entropy="another"))
        assert run(["demo-ohif", "--no-serve", "--device", "cpu", "--pacs", own.url]) == 0
    assert not (FOLDER / "orthanc").exists()
    assert run(["demo-ohif", "--no-serve", "--pacs", own.url]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_a_pacs_that_is_no_url_is_refused(small: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo-ohif", "--no-serve", "--pacs", "localhost:8042"]) == 2
    assert "--pacs localhost:8042: is no URL" in capsys.readouterr().err


@pytest.fixture
def without_orthanc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which Orthanc appears when a program has been run; gives the file that it must make."""
    mark = tmp_path / "installed"

    def find() -> OrthancFiles:
        if not mark.exists():
            raise InputError("Orthanc: cannot be found; install it")
        return find_orthanc()

    monkeypatch.setattr(demo_ohif, "find_orthanc", find)
    return mark


def test_orthanc_is_installed_when_it_is_missing_and_the_user_may(
    small: None,
    without_orthanc: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write_series(tmp_path / "mine", patient="one", entropy="first")
    commands = [["echo", "updating"], ["touch", str(without_orthanc)]]
    monkeypatch.setattr(demo_ohif, "install_commands", lambda: commands)
    assert run(["demo-ohif-add", "mine", "--json"]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["series"] == 1
    assert "Orthanc is missing: echo updating\nupdating\n" in said.err


@pytest.mark.parametrize(
    ("commands", "part"), [(None, "Orthanc: cannot be found"), ([["false"]], "false: ended with status 1")]
)
def test_without_orthanc_the_message_says_what_to_do(
    small: None,
    without_orthanc: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    commands: list[list[str]] | None,
    part: str,
) -> None:
    monkeypatch.setattr(demo_ohif, "install_commands", lambda: commands)
    assert run(["demo-ohif", "--no-serve"]) == 2
    said = capfd.readouterr().err
    assert part in said
    assert not FOLDER.exists()
