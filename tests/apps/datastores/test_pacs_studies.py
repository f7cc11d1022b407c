"""The datastore of a PACS, against a real Orthanc."""

import json
import logging
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests
from monailabel.datastore.dicom import DICOMWebDatastore
from pydicom import Dataset
from sqlalchemy import Engine

from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from apps.calibrated_ensemble.datastores.pacs_scans import PacsScans
from apps.calibrated_ensemble.datastores.pacs_studies import PacsStudies
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from lib.dicom.segmentation_reader import read_segmentation
from lib.dicom.segmentation_writer import segmentation_dataset
from lib.dicom.series import series_grid
from lib.dicom.series_writer import series_datasets
from lib.errors import ConflictError, InputError, ProductError, UnreachableError
from lib.images.files import read_scan, write_volume
from lib.images.volume import Volume
from lib.task.task import Task
from lib.task.task_file import task_from
from scoring.database.engine import open_database
from scoring.database.scan_list import mark_labelled
from scoring.worklist.queue_state import queue_state
from tests.apps.servers.running_orthanc import RunningOrthanc

SHAPE = (7, 5, 4)
LABELS = {"near": 2, "far": 5}
FILTER = {"Modality": ["CT", "MR"]}


@pytest.fixture(scope="module")
def task() -> Task:
    return task_from({"name": "two", "modality": "CT", "labels": LABELS, "w_dsc": [0.0, 0.0]}, where="test")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningOrthanc]:
    with RunningOrthanc(tmp_path_factory.mktemp("orthanc")) as orthanc:
        yield orthanc


@pytest.fixture
def orthanc(shared: RunningOrthanc) -> RunningOrthanc:
    shared.clear()
    return shared


@pytest.fixture
def stoppable(tmp_path: Path) -> Iterator[RunningOrthanc]:
    with RunningOrthanc(tmp_path / "orthanc") as orthanc:
        yield orthanc


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path / "database.sqlite")
    yield engine
    engine.dispose()


def make_series(number: int, *, modality: str = "CT", patient: str | None = None) -> list[Dataset]:
    affine = np.diag([0.7, 0.9, 2.5, 1.0])
    affine[:3, 3] = (-10, 20, 30)
    array = np.random.default_rng(number).integers(-1000, 1000, SHAPE).astype(np.float32)
    return series_datasets(
        Volume(array, affine),
        modality=modality,
        patient_id=patient or f"id-{number}",
        patient_name="Sensitive^Name",
        description=f"series {number}",
        entropy=f"pacs studies {number}",
    )


def uid(series: list[Dataset]) -> str:
    return str(series[0].SeriesInstanceUID)


def make_label(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([0, 2, 5], SHAPE).astype(np.uint8)


def make_segmentation(series: list[Dataset], label: np.ndarray, *, date: str, **labels: int) -> Dataset:
    names = labels or LABELS
    made = segmentation_dataset(label, series, labels=names, colours=dict.fromkeys(names, (255, 0, 0)))
    made.ContentDate, made.ContentTime = date, "120000"
    return made


def open_studies(
    orthanc: RunningOrthanc, tmp_path: Path, task: Task, engine: Engine, *, refresh_seconds: float = 0, **options: Any
) -> PacsStudies:
    return PacsStudies(
        options.pop("url", orthanc.url),
        options.pop("search_filter", FILTER),
        folder=tmp_path / options.pop("folder", "pacs"),
        task=task,
        submission=LabelSubmission(
            task, engine, refused_folder=tmp_path / "refused", versions_folder=tmp_path / "label_versions"
        ),
        refresh_seconds=refresh_seconds,
        retry_unreadable=True,
    )


@pytest.fixture
def studies(orthanc: RunningOrthanc, tmp_path: Path, task: Task, engine: Engine) -> PacsStudies:
    return open_studies(orthanc, tmp_path, task, engine)


def scans_of(studies: PacsStudies, task: Task, *, store_heatmaps: bool = False) -> PacsScans:
    return PacsScans(studies, task, store_heatmaps=store_heatmaps)


def write_label(path: Path, label: np.ndarray, scan: str) -> str:
    write_volume(path, Volume(label, nib.load(scan).affine))
    return str(path)


def stored_segmentations(orthanc: RunningOrthanc, series: list[Dataset]) -> list[Dataset]:
    """All SEGs that Orthanc holds of a series, by its own interface."""
    found = []
    for instance in orthanc.session.get(f"{orthanc.rest}/instances").json():
        tags = orthanc.session.get(f"{orthanc.rest}/instances/{instance}/simplified-tags").json()
        if tags["Modality"] == "SEG" and tags["ReferencedSeriesSequence"][0]["SeriesInstanceUID"] == uid(series):
            found.append(
                orthanc.client().retrieve_instance(
                    *(tags[key] for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
                )
            )
    return found


def test_the_server_takes_it_for_its_dicom_datastore(studies: PacsStudies) -> None:
    assert isinstance(studies, DICOMWebDatastore)


def test_ct_and_mr_are_listed_and_nothing_else(orthanc: RunningOrthanc, studies: PacsStudies) -> None:
    ct, mr, pet = make_series(1), make_series(2, modality="MR"), make_series(3)
    for image in pet:
        image.Modality = "PT"
    orthanc.store(ct + mr + pet)
    assert set(studies.list_images()) == {uid(ct), uid(mr)}


def test_another_filter_lists_what_it_says(orthanc: RunningOrthanc, tmp_path: Path, task: Task, engine: Engine) -> None:
    wanted, other = make_series(1, patient="wanted"), make_series(2)
    orthanc.store(wanted + other)
    studies = open_studies(orthanc, tmp_path, task, engine, search_filter={"PatientID": "wanted"})
    assert studies.list_images() == [uid(wanted)]


def test_a_scan_comes_back_with_its_grey_values_and_geometry(orthanc: RunningOrthanc, studies: PacsStudies) -> None:
    series = make_series(1)
    orthanc.store(reversed(series))
    scan = read_scan(Path(studies.get_image_uri(uid(series))))
    expected = np.random.default_rng(1).integers(-1000, 1000, SHAPE)
    # Voxel by voxel through world coordinates, since the grid of DICOM may count other ways.
    for index in np.ndindex(*SHAPE):
        world = np.array([0.7, 0.9, 2.5]) * index + (-10, 20, 30)
        there = np.rint(np.linalg.inv(scan.affine) @ [*world, 1])[:3].astype(int)
        assert scan.array[tuple(there)] == expected[index]


def test_a_scan_that_is_still_being_sent_is_downloaded_again_when_it_is_complete(
    orthanc: RunningOrthanc, studies: PacsStudies
) -> None:
    series = make_series(1)
    orthanc.store(series[:3])
    assert read_scan(Path(studies.get_image_uri(uid(series)))).shape == (7, 5, 3)
    orthanc.store(series[3:])
    assert read_scan(Path(studies.get_image_uri(uid(series)))).shape == SHAPE


def test_a_submitted_label_is_known_at_once_and_stored_voxel_for_voxel(
    orthanc: RunningOrthanc, tmp_path: Path, task: Task, engine: Engine
) -> None:
    series, other = make_series(1), make_series(2)
    orthanc.store(series + other)
    studies = open_studies(orthanc, tmp_path, task, engine, refresh_seconds=3600)
    assert studies.status()["completed"] == 0
    label = make_label()
    file = write_label(tmp_path / "label.nii.gz", label, studies.get_image_uri(uid(series)))
    studies.save_label(uid(series), file, "final", {"client_id": "ann"})
    assert studies.status()["completed"] == 1
    assert studies.get_unlabeled_images() == [uid(other)]
    scans = scans_of(studies, task)
    assert not scans.is_unlabelled(uid(series))
    assert scans.is_unlabelled(uid(other))
    assert not scans.is_unlabelled("1.2.3")
    assert (scans.names().all, scans.names().labelled) == ({uid(series), uid(other)}, {uid(series)})
    (segmentation,) = stored_segmentations(orthanc, series)
    np.testing.assert_array_equal(read_segmentation(segmentation, series_grid(series), labels=LABELS), label)
    assert [segment.SegmentLabel for segment in segmentation.SegmentSequence] == ["near", "far"]
    saved = nib.load(studies.get_label_uri(uid(series), "final"))
    np.testing.assert_array_equal(np.asanyarray(saved.dataobj), label)
    assert studies.get_label_info(uid(series), "final")["client_id"] == "ann"
    # Another process, which has nothing on disk, gets the same from the PACS.
    elsewhere = open_studies(orthanc, tmp_path, task, engine, folder="elsewhere")
    fetched = nib.load(elsewhere.get_label_uri(uid(series), "final"))
    np.testing.assert_array_equal(np.asanyarray(fetched.dataobj), label)


def test_progress_counts_scans_and_not_segmentations(
    orthanc: RunningOrthanc, studies: PacsStudies, tmp_path: Path
) -> None:
    series = make_series(1)
    orthanc.store([*series, *make_series(2)])
    for seed in range(3):
        file = write_label(tmp_path / "label.nii.gz", make_label(seed), studies.get_image_uri(uid(series)))
        studies.save_label(uid(series), file, "final", {})
    assert len(stored_segmentations(orthanc, series)) == 3
    assert studies.status() == {
        "total": 2,
        "completed": 1,
        "label_tags": {"final": 1},
        "unusable_labels": {},
    }
    latest = nib.load(studies.get_label_uri(uid(series), "final"))
    np.testing.assert_array_equal(np.asanyarray(latest.dataobj), make_label(2))


def test_the_newest_segmentation_by_content_date_wins(orthanc: RunningOrthanc, studies: PacsStudies) -> None:
    series = make_series(1)
    newest, older = make_label(1), make_label(2)
    orthanc.store(series)
    orthanc.store([make_segmentation(series, newest, date="20260301")])
    orthanc.store([make_segmentation(series, older, date="20250301")])
    found = nib.load(studies.get_label_uri(uid(series), "final"))
    np.testing.assert_array_equal(np.asanyarray(found.dataobj), newest)


def test_a_segmentation_that_cannot_be_read_is_reported_and_the_older_one_is_used(
    orthanc: RunningOrthanc, studies: PacsStudies, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    series, only_broken = make_series(1), make_series(2)
    orthanc.store(series + only_broken)
    good = make_label(1)
    orthanc.store([make_segmentation(series, good, date="20250301")])
    broken = []
    for of in (series, only_broken):
        segmentation = make_segmentation(of, make_label(2), date="20260301")
        for frame in segmentation.PerFrameFunctionalGroupsSequence:
            x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
            frame.PlanePositionSequence[0].ImagePositionPatient = [x, y, z + 0.4]
        broken.append(str(segmentation.SeriesInstanceUID))
        orthanc.store([segmentation])
    with caplog.at_level(logging.WARNING):
        (found,) = scans_of(studies, task).labelled()
    assert found.name == uid(series)
    np.testing.assert_array_equal(np.asanyarray(nib.load(found.label).dataobj), good)
    for segmentation in broken:
        assert any(segmentation in record.message for record in caplog.records)
    status = studies.status()
    assert set(status["unusable_labels"]) == set(broken)
    # Its scan has no label that can be learned from, so it waits for one again.
    assert status["completed"] == 1
    assert studies.get_unlabeled_images() == [uid(only_broken)]


def test_segmentations_of_another_task_are_no_labels_and_mixed_ones_are_reported(
    orthanc: RunningOrthanc, studies: PacsStudies
) -> None:
    foreign, mixed = make_series(1), make_series(2)
    orthanc.store(foreign + mixed)
    orthanc.store([make_segmentation(foreign, make_label(), date="20260101", spleen=2, kidney=5)])
    other = make_segmentation(mixed, make_label(), date="20260101", near=2, kidney=5)
    orthanc.store([other])
    status = studies.status()
    assert status["completed"] == 0
    assert list(status["unusable_labels"]) == [str(other.SeriesInstanceUID)]
    assert "'kidney'" in status["unusable_labels"][str(other.SeriesInstanceUID)]


def test_a_segmentation_whose_classes_are_named_in_descriptions_is_listed_and_read(
    orthanc: RunningOrthanc, studies: PacsStudies
) -> None:
    series, label = make_series(1), make_label(1)
    made = make_segmentation(series, label, date="20260101")
    for segment in made.SegmentSequence:
        segment.SegmentDescription = f" {segment.SegmentLabel.upper()}"
        segment.SegmentLabel = f"Segment {segment.SegmentNumber}"
    orthanc.store([*series, made])
    assert studies.get_labeled_images() == [uid(series)]
    found = nib.load(studies.get_label_uri(uid(series), "final"))
    np.testing.assert_array_equal(np.asanyarray(found.dataobj), label)


def test_scans_of_one_patient_stay_together_and_the_identifier_stays_in_the_pacs(
    orthanc: RunningOrthanc, studies: PacsStudies, task: Task, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    all_series = [make_series(1, patient="MRN-4711"), make_series(2, patient="MRN-4711"), make_series(3)]
    with caplog.at_level(logging.DEBUG):
        for series in all_series:
            orthanc.store(series)
            orthanc.store([make_segmentation(series, make_label(), date="20260101")])
        first, second, third = sorted(
            scans_of(studies, task).labelled(), key=lambda scan: [uid(series) for series in all_series].index(scan.name)
        )
        assert first.patient == second.patient != third.patient
        info = studies.get_image_info(uid(all_series[0]))
    written = [path for path in (tmp_path / "pacs").rglob("*") if path.is_file()]
    assert written
    told = caplog.text + json.dumps(info) + "".join(str(path) for path in written)
    for secret in ("MRN-4711", "Sensitive"):
        assert secret not in told
        for path in [*written, tmp_path / "database.sqlite"]:
            assert secret.encode() not in path.read_bytes()


def test_scoring_downloads_a_scan_when_its_turn_comes(
    orthanc: RunningOrthanc, studies: PacsStudies, task: Task, tmp_path: Path
) -> None:
    series = make_series(1)
    orthanc.store(series)
    (scan,) = scans_of(studies, task).unlabelled()
    assert not list((tmp_path / "pacs").rglob("*.nii.gz"))
    assert callable(scan.image)
    assert read_scan(scan.image()).shape == SHAPE


@dataclass
class Predicted:
    heatmap: np.ndarray
    classes: tuple[str, ...]
    generation: str = "g"


def test_heatmaps_are_kept_in_the_pacs_where_that_was_asked_for(
    orthanc: RunningOrthanc, studies: PacsStudies, task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    series = make_series(1)
    orthanc.store(series)
    shape = read_scan(Path(studies.get_image_uri(uid(series)))).shape
    heatmap = np.random.default_rng(0).random((2, *shape)).astype(np.float32)

    def stored() -> int:
        return len(orthanc.session.get(f"{orthanc.rest}/instances").json())

    before, classes = stored(), task.classes
    scans_of(studies, task).keep_heatmap(uid(series), Predicted(heatmap, classes))
    assert stored() == before
    keeping = scans_of(studies, task, store_heatmaps=True)
    keeping.keep_heatmap(uid(series), Predicted(heatmap, classes))
    assert stored() == before + len(classes)
    # What cannot be kept costs no score.
    with caplog.at_level(logging.WARNING):
        keeping.keep_heatmap(uid(series), Predicted(heatmap + 2, classes))
        keeping.keep_heatmap("1.2.3", Predicted(heatmap, classes))
    assert [record.message.split(":")[0] for record in caplog.records] == [
        f"The heatmap of scan {scan} is not stored" for scan in (uid(series), "1.2.3")
    ]


@pytest.mark.parametrize("tag", ["draft", "original"])
def test_labels_of_other_tags_stay_on_this_machine(
    orthanc: RunningOrthanc, studies: PacsStudies, tmp_path: Path, tag: str
) -> None:
    series = make_series(1)
    orthanc.store(series)
    file = write_label(tmp_path / "label.nii.gz", make_label(), studies.get_image_uri(uid(series)))
    studies.save_label(uid(series), file, tag, {"note": 1})
    assert stored_segmentations(orthanc, series) == []
    assert studies.get_labels_by_image_id(uid(series)) == {tag: uid(series)}
    assert studies.status()["label_tags"] == {"final": 0, tag: 1}
    assert studies.get_label_info(uid(series), tag)["note"] == 1
    studies.remove_label(uid(series), tag)
    assert studies.get_labels_by_image_id(uid(series)) == {}


def test_a_refused_label_reaches_neither_pacs_nor_disk_and_is_kept(
    orthanc: RunningOrthanc, studies: PacsStudies, tmp_path: Path
) -> None:
    series = make_series(1)
    orthanc.store(series)
    wrong = make_label()
    wrong[0, 0, 0] = 9
    file = write_label(tmp_path / "label.nii.gz", wrong, studies.get_image_uri(uid(series)))
    with pytest.raises(InputError, match="unknown class 9"):
        studies.save_label(uid(series), file, "final", {})
    assert stored_segmentations(orthanc, series) == []
    assert studies.status()["completed"] == 0
    assert len(list((tmp_path / "refused").iterdir())) == 1


def test_a_label_that_the_pacs_cannot_take_now_is_kept_and_can_be_sent_again(
    stoppable: RunningOrthanc, tmp_path: Path, task: Task, engine: Engine
) -> None:
    series = make_series(1)
    stoppable.store(series)
    studies = open_studies(stoppable, tmp_path, task, engine, refresh_seconds=3600)
    file = write_label(tmp_path / "label.nii.gz", make_label(), studies.get_image_uri(uid(series)))
    stoppable.stop()
    with pytest.raises(UnreachableError) as caught:
        studies.save_label(uid(series), file, "final", {})
    (kept,) = (tmp_path / "refused").iterdir()
    assert kept.name in str(caught.value)
    np.testing.assert_array_equal(np.asanyarray(nib.load(kept).dataobj), make_label())
    assert studies.status()["completed"] == 0
    again = RunningOrthanc(tmp_path / "orthanc")
    try:
        studies = open_studies(again, tmp_path, task, engine)
        studies.save_label(uid(series), file, "final", {})
        assert len(stored_segmentations(again, series)) == 1
    finally:
        again.stop()


@pytest.mark.parametrize(
    "odd",
    [{"PatientBirthDate": "00000000"}, {"PatientBirthDate": "1970-01-01", "StudyTime": "12:30:00"}],
)
def test_a_series_with_dates_that_are_none_gets_its_label(
    orthanc: RunningOrthanc, studies: PacsStudies, tmp_path: Path, odd: dict[str, str]
) -> None:
    series = make_series(1)
    for image in series:
        image.update(odd)
    orthanc.store(series)
    file = write_label(tmp_path / "label.nii.gz", make_label(), studies.get_image_uri(uid(series)))
    studies.save_label(uid(series), file, "final", {})
    (segmentation,) = stored_segmentations(orthanc, series)
    assert not segmentation.PatientBirthDate
    np.testing.assert_array_equal(read_segmentation(segmentation, series_grid(series), labels=LABELS), make_label())


def test_whatever_is_raised_while_a_label_is_stored_it_is_kept(
    orthanc: RunningOrthanc, studies: PacsStudies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = make_series(1)
    orthanc.store(series)
    file = write_label(tmp_path / "label.nii.gz", make_label(), studies.get_image_uri(uid(series)))

    def fail(*_: object, **__: object) -> None:
        raise AttributeError("'Dataset' object has no attribute 'Oddity'")

    monkeypatch.setattr("apps.calibrated_ensemble.pacs.labels.segmentation_dataset", fail)
    with pytest.raises(ProductError, match=r"could not be stored \(.*Oddity.*\)\. What you sent is kept on the server"):
        studies.save_label(uid(series), file, "final", {})
    (kept,) = (tmp_path / "refused").iterdir()
    assert kept.read_bytes() == Path(file).read_bytes()
    assert studies.status()["completed"] == 0


def test_a_label_that_came_in_between_stands_and_both_are_there(
    orthanc: RunningOrthanc, studies: PacsStudies, tmp_path: Path
) -> None:
    series = make_series(1)
    orthanc.store(series)
    scan = studies.get_image_uri(uid(series))
    first, second = (write_label(tmp_path / f"{seed}.nii.gz", make_label(seed), scan) for seed in (1, 2))
    studies.save_label(uid(series), first, "final", {"client_id": "ann", "started_from": ""})
    version = studies.label_version(uid(series))
    assert studies.get_label_info(uid(series), "final")["label_version"] == version
    with pytest.raises(ConflictError, match="ann submitted a label") as caught:
        studies.save_label(uid(series), second, "final", {"client_id": "bob", "started_from": ""})
    assert caught.value.facts["label_version"] == version
    (kept,) = (tmp_path / "label_versions").iterdir()
    np.testing.assert_array_equal(np.asanyarray(nib.load(kept).dataobj), make_label(2))
    assert len(stored_segmentations(orthanc, series)) == 1
    studies.save_label(uid(series), second, "final", {"client_id": "bob", "started_from": version})
    assert len(stored_segmentations(orthanc, series)) == 2
    latest = nib.load(studies.get_label_uri(uid(series), "final"))
    np.testing.assert_array_equal(np.asanyarray(latest.dataobj), make_label(2))


def test_a_listing_of_a_moment_ago_does_not_take_a_label_of_another_server_back(
    orthanc: RunningOrthanc, tmp_path: Path, task: Task, engine: Engine
) -> None:
    series, other = make_series(1), make_series(2)
    orthanc.store(series + other)
    servers = [
        open_studies(orthanc, tmp_path, task, engine, refresh_seconds=3600, folder=folder) for folder in ("a", "b")
    ]
    registers = [ScanRegister(scans_of(studies, task), engine) for studies in servers]
    for register in registers:
        register.synchronise()
    file = write_label(tmp_path / "label.nii.gz", make_label(), servers[0].get_image_uri(uid(series)))
    servers[0].save_label(uid(series), file, "final", {})
    mark_labelled(engine, uid(series))
    registers[1].synchronise(always=True)
    assert queue_state(engine, generation=None).labelled == 1


def test_while_the_pacs_is_away_the_last_list_is_given_and_without_one_an_error(
    stoppable: RunningOrthanc, tmp_path: Path, task: Task, engine: Engine
) -> None:
    series = make_series(1)
    stoppable.store(series)
    studies = open_studies(stoppable, tmp_path, task, engine)
    assert studies.list_images() == [uid(series)]
    stoppable.stop()
    assert studies.list_images() == [uid(series)]
    with pytest.raises(UnreachableError, match=r"does not answer"):
        open_studies(stoppable, tmp_path, task, engine).list_images()
    with pytest.raises(UnreachableError, match=r"does not answer"):
        open_studies(stoppable, tmp_path, task, engine).status()


def test_a_wrong_url_is_told_in_one_line(orthanc: RunningOrthanc, tmp_path: Path, task: Task, engine: Engine) -> None:
    studies = open_studies(orthanc, tmp_path, task, engine, url=f"{orthanc.rest}/dicomweb")
    with pytest.raises(InputError, match=r"is the URL the root of DICOMweb\?"):
        studies.status()


def test_scans_and_final_labels_are_removed_in_the_pacs_only(orthanc: RunningOrthanc, studies: PacsStudies) -> None:
    series = make_series(1)
    orthanc.store(series)
    for attempt in (
        lambda: studies.remove_image(uid(series)),
        lambda: studies.add_image("new", "new.nii.gz", {}),
        lambda: studies.remove_label(uid(series), "final"),
    ):
        with pytest.raises(InputError):
            attempt()
    assert studies.list_images() == [uid(series)]


def test_many_series_and_segmentations_are_listed_with_a_few_requests(
    orthanc: RunningOrthanc, studies: PacsStudies, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_series = [make_series(number) for number in range(7)]
    for series in all_series:
        orthanc.store(series)
        orthanc.store([make_segmentation(series, make_label(), date="20260101")])
    assert studies.status()["completed"] == 7
    asked = []
    send = requests.Session.send

    def count(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        asked.append(request.url)
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", count)
    assert studies.status()["completed"] == 7
    assert len(asked) == 3  # CT, MR, SEG


def test_what_is_known_of_segmentations_survives_a_damaged_file(
    orthanc: RunningOrthanc, tmp_path: Path, task: Task, engine: Engine
) -> None:
    series = make_series(1)
    orthanc.store(series)
    orthanc.store([make_segmentation(series, make_label(), date="20260101")])
    assert open_studies(orthanc, tmp_path, task, engine).status()["completed"] == 1
    (tmp_path / "pacs" / "segmentations.json").write_text('{"1.2": {"sc')
    assert open_studies(orthanc, tmp_path, task, engine).status()["completed"] == 1


def test_all_labelled_scans_can_be_had_as_one_archive(
    orthanc: RunningOrthanc, studies: PacsStudies, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no scan is labelled yet"):
        studies.get_dataset_archive(None)
    series = make_series(1)
    orthanc.store(series)
    orthanc.store([make_segmentation(series, make_label(), date="20260101")])
    archive = Path(studies.get_dataset_archive(None))
    try:
        with zipfile.ZipFile(archive) as opened:
            assert sorted(opened.namelist()) == [f"image/{uid(series)}.nii.gz", f"label/{uid(series)}.nii.gz"]
    finally:
        archive.unlink()
