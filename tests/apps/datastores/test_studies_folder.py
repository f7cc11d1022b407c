import json
import os
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from monailabel.interfaces.exception import ImageNotFoundException

from apps.calibrated_ensemble.datastores.indexed_folder import INDEX
from apps.calibrated_ensemble.datastores.indexed_scans import IndexedScans
from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from apps.calibrated_ensemble.datastores.studies_folder import StudiesFolder
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from lib.datasets.studies_folder import FolderScans, read_studies
from lib.errors import InputError, ProductError, StorageError
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.storage.atomic import atomic_path
from lib.task.task_file import task_from
from scoring.database.engine import open_database
from scoring.worklist.queue_state import queue_state
from tests.apps.servers.running_server import wait_for

TASK = task_from({"name": "one", "modality": "CT", "labels": {"lesion": 1, "cyst": 2}, "region": "organ"}, where="test")


def open_folder(folder: Path, **options: bool) -> StudiesFolder:
    workspace = folder.parent / "workspace"
    submission = LabelSubmission(
        TASK,
        open_database(workspace / "database.sqlite"),
        refused_folder=workspace / "refused",
        versions_folder=workspace / "versions",
    )
    return StudiesFolder(str(folder), submission=submission, region=TASK.region, **{"auto_reload": False, **options})


def write_image(path: Path, value: int = 0) -> Path:
    write_volume(path, Volume(np.full((2, 2, 2), value, np.uint8), np.eye(4)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "studies"
    for name in ("a", "b", "c.d"):
        write_image(folder / f"{name}.nii.gz")
    write_image(folder / "labels" / "final" / "a.nii.gz", 1)
    write_image(folder / "labels" / "organ" / "b.nii.gz", 1)
    write_image(folder / ".hidden.nii.gz")
    write_image(folder / ".calibrated_ensemble" / "refused_labels" / "x.nii.gz")
    return folder


@pytest.fixture
def watched(folder: Path) -> Iterator[StudiesFolder]:
    store = open_folder(folder, auto_reload=True)
    yield store
    store._observer.stop()
    store._observer.join(10)


def test_it_lists_what_lib_lists_without_a_server(folder: Path) -> None:
    store = open_folder(folder)
    scans, studies = IndexedScans(store, TASK), read_studies(folder, TASK)
    assert list(scans.labelled()) == list(studies.labelled)
    assert list(scans.unlabelled()) == list(studies.unlabelled)
    assert scans.names() == FolderScans(folder, TASK).names()
    assert [name for name in ("a", "b", "c.d", "x") if scans.is_unlabelled(name)] == ["b", "c.d"]
    assert store.status() == {"total": 3, "completed": 1, "label_tags": {"final": 1, "organ": 1}}


def test_a_saved_label_is_there_after_a_restart(folder: Path, tmp_path: Path) -> None:
    sent = write_image(tmp_path / "sent.nrrd.nii.gz", 1)
    open_folder(folder).save_label("b", str(sent), "final", {"client_id": "ann"})
    store = open_folder(folder)
    assert Path(store.get_label_uri("b", "final")).read_bytes() == sent.read_bytes()
    info = store.get_label_info("b", "final")
    assert info["client_id"] == "ann"
    assert info["review"] == {"warnings": [], "places": [], "voxels": {"lesion": 8, "cyst": 0}}


def test_a_refused_label_changes_nothing(folder: Path, tmp_path: Path) -> None:
    store = open_folder(folder)
    standing = folder / "labels" / "final" / "a.nii.gz"
    before, revision = standing.read_bytes(), store.revision
    sent = write_image(tmp_path / "sent.nii.gz", 9)
    with pytest.raises(
        InputError,
        match=r"^label of a: the label holds the unknown class 9; .*\. What you sent is kept on the server as a-\d{8}T",
    ):
        store.save_label("a", str(sent), "final", {})
    (kept,) = (tmp_path / "workspace" / "refused").iterdir()
    assert kept.read_bytes() == sent.read_bytes()
    assert standing.read_bytes() == before
    assert store.revision == revision


def test_a_label_in_another_format_replaces_the_old_file(folder: Path, tmp_path: Path) -> None:
    store = open_folder(folder)
    store.save_label("a", str(write_image(tmp_path / "sent.nii", 2)), "final", {})
    assert [path.name for path in (folder / "labels" / "final").iterdir()] == ["a.nii"]
    assert store.get_label_uri("a", "final").endswith("a.nii")


def test_a_label_replaces_one_whose_suffix_is_in_upper_case(folder: Path, tmp_path: Path) -> None:
    (folder / "labels" / "final" / "a.nii.gz").rename(folder / "labels" / "final" / "a.NII.GZ")
    store = open_folder(folder)
    assert store.get_label_uri("a", "final").endswith("a.NII.GZ")
    store.save_label("a", str(write_image(tmp_path / "sent.NII.GZ", 2)), "final", {})
    assert [path.name for path in (folder / "labels" / "final").iterdir()] == ["a.nii.gz"]


def test_command_line_and_server_list_the_same_scans_whatever_their_files_are_called(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(folder / "tmp.nii.gz").rename(folder / "c.NII.GZ")
    write_image(folder / "a.nii")
    os.utime(folder / "a.nii.gz", (1000, 1000))
    write_image(folder / "labels" / "final" / "a.nrrd.nii").rename(folder / "labels" / "final" / "a.NII")
    (folder / "gone.nii.gz").symlink_to(folder / "nowhere.nii.gz")
    os.utime(folder / "labels" / "final" / "a.nii.gz", (1000, 1000))
    with caplog.at_level("WARNING"):
        store = open_folder(folder)
    studies = read_studies(folder, TASK)
    listed = {scan.name: str(scan.image) for scan in (*studies.labelled, *studies.unlabelled)}
    assert {name: store.get_image_uri(name) for name in store.list_images()} == listed
    assert listed["a"] == str(folder / "a.nii")
    assert listed["c"] == str(folder / "c.NII.GZ")
    assert [str(scan.label) for scan in studies.labelled] == [store.get_label_uri("a", "final")]
    assert studies.labelled[0].label.name == "a.NII"
    told = "\n".join(caplog.messages)
    assert "a.nii.gz: is not used: a.nii has the same name" in told
    assert "labels/final/a.nii.gz: is not used: a.NII has the same name" in told
    assert "gone.nii.gz: links to a file that is not there" in told


def test_a_link_is_replaced_and_removed_and_its_source_stays(folder: Path, tmp_path: Path) -> None:
    source_scan, source_label = write_image(tmp_path / "scan.nii.gz"), write_image(tmp_path / "label.nii.gz", 1)
    before = source_label.read_bytes()
    (folder / "linked.nii.gz").symlink_to(source_scan)
    (folder / "labels" / "final" / "linked.nii.gz").symlink_to(source_label)
    store = open_folder(folder)
    store.save_label("linked", str(write_image(tmp_path / "sent.nii.gz", 2)), "final", {})
    assert source_label.read_bytes() == before
    assert not (folder / "labels" / "final" / "linked.nii.gz").is_symlink()
    store.remove_image("linked")
    assert source_scan.exists()
    assert not (folder / "linked.nii.gz").is_symlink()
    assert "linked" not in store.list_images()


def test_a_removed_label_of_a_link_leaves_the_source(folder: Path, tmp_path: Path) -> None:
    source = write_image(tmp_path / "label.nii.gz", 1)
    (folder / "labels" / "final" / "b.nii.gz").symlink_to(source)
    store = open_folder(folder)
    store.remove_label("b", "final")
    assert source.exists()
    assert "b" in store.get_unlabeled_images()


@pytest.mark.parametrize("content", ["", '{"name": "new-dat', "[]"])
def test_a_damaged_index_is_put_aside_and_made_again(folder: Path, content: str) -> None:
    open_folder(folder)
    (folder / INDEX).write_text(content)
    store = open_folder(folder)
    assert store.status()["completed"] == 1
    assert json.loads((folder / INDEX).read_text())["objects"].keys() == {"a", "b", "c.d"}
    (aside,) = folder.glob(f"{INDEX}.damaged-*")
    assert aside.read_text() == content


def test_two_processes_do_not_overwrite_each_others_labels(folder: Path, tmp_path: Path) -> None:
    server, batch = open_folder(folder), open_folder(folder)
    server.save_label("b", str(write_image(tmp_path / "sent.nii.gz", 1)), "final", {"client_id": "ann"})
    batch.save_label("c.d", str(write_image(tmp_path / "sent.nii.gz", 2)), "original", {})
    after = open_folder(folder)
    assert after.get_label_info("b", "final")["client_id"] == "ann"
    assert after.get_label_by_image_id("c.d", "original") == "c.d"
    assert sorted(after.get_labeled_images()) == ["a", "b"]


def test_files_that_come_go_or_are_moved_in_place_are_noticed(watched: StudiesFolder, folder: Path) -> None:
    before = watched.revision
    write_image(folder / "new.nii.gz")  # written under another name and moved
    wait_for(lambda: "new" in watched.list_images(), seconds=20, what="the moved scan")
    wait_for(lambda: watched.revision > before, seconds=20, what="the revision to grow")
    write_image(folder / "labels" / "final" / "new.nii.gz", 1)
    wait_for(lambda: "new" in watched.get_labeled_images(), seconds=20, what="the moved label")
    (folder / "new.nii.gz").unlink()
    wait_for(lambda: "new" not in watched.list_images(), seconds=20, what="the scan to go")


def test_a_scan_that_is_renamed_is_noticed(watched: StudiesFolder, folder: Path) -> None:
    (folder / "b.nii.gz").rename(folder / "renamed.nii.gz")
    wait_for(lambda: "renamed" in watched.list_images(), seconds=20, what="the new name")
    assert "b" not in watched.list_images()
    (folder / "renamed.nii.gz").rename(folder / "a.nii.gz")
    wait_for(lambda: "renamed" not in watched.list_images(), seconds=20, what="the name to go")


def test_what_the_server_stores_itself_does_not_list_the_folder_again(
    watched: StudiesFolder, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []
    monkeypatch.setattr(watched, "refresh", lambda: listed.append("again"))
    watched.save_label("b", str(write_image(tmp_path / "sent.nii.gz", 1)), "final", {})
    # Events come in order: once this one has come, those of the label have.
    write_image(folder / "new.nii.gz")
    wait_for(lambda: bool(listed), seconds=20, what="the event of a new scan")
    assert listed == ["again"]


@pytest.mark.parametrize("tag", ["../../elsewhere", "", "a/b", ".hidden"])
def test_a_tag_that_is_no_name_is_refused(folder: Path, tmp_path: Path, tag: str) -> None:
    with pytest.raises(InputError, match="give letters, digits"):
        open_folder(folder).save_label("a", str(write_image(tmp_path / "sent.nii.gz")), tag, {})


def test_an_unknown_scan_is_not_found(folder: Path, tmp_path: Path) -> None:
    store = open_folder(folder)
    label = str(write_image(tmp_path / "sent.nii.gz"))
    for attempt in (
        lambda: store.save_label("nobody", label, "final", {}),
        lambda: store.remove_image("nobody"),
        lambda: store.update_image_info("nobody", {"x": 1}),
    ):
        with pytest.raises(ImageNotFoundException):
            attempt()


def test_who_was_served_does_not_write_the_index(folder: Path) -> None:
    store = open_folder(folder)
    before = (folder / INDEX).stat().st_mtime_ns
    store.update_image_info("a", {"strategy": {"random": {"ts": 1}}})
    assert (folder / INDEX).stat().st_mtime_ns == before
    assert store.get_image_info("a")["strategy"] == {"random": {"ts": 1}}
    store.update_image_info("a", {"note": "blurred"})
    assert open_folder(folder).get_image_info("a")["note"] == "blurred"


def test_a_place_that_cannot_be_written_to_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "labels" / "draft").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match=r"labels/draft/b\.nii\.gz: cannot be written"):
        open_folder(folder).save_label("b", str(write_image(tmp_path / "sent.nii.gz")), "draft", {})


def test_many_scans_are_listed_in_little_time(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    (folder / "labels" / "final").mkdir(parents=True)
    for number in range(20_000):
        (folder / f"scan_{number}.nii.gz").touch()
    start = time.monotonic()
    store = open_folder(folder)
    store.refresh()
    # The stock datastore compares every scan with every other one: over a minute.
    assert time.monotonic() - start < 20
    assert len(store.list_images()) == 20_000


def test_the_register_lists_the_folder_only_after_a_change(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_folder(folder)
    engine = open_database(tmp_path / "database.sqlite")
    register = ScanRegister(IndexedScans(store, TASK), engine)
    register.synchronise()
    assert (queue_state(engine, generation=None).labelled, queue_state(engine, generation=None).free) == (1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(store, "list_images", lambda: pytest.fail("the folder was listed without need"))
        register.synchronise()
    store.save_label("b", str(write_image(tmp_path / "sent.nii.gz")), "final", {})
    register.synchronise()
    assert (queue_state(engine, generation=None).labelled, queue_state(engine, generation=None).free) == (2, 1)
    engine.dispose()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("odd"), KeyError("PatientID")])
def test_whatever_goes_wrong_what_was_sent_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    store, sent = open_folder(folder), write_image(tmp_path / "sent.nii.gz", 2)
    monkeypatch.setattr(store, "_standing", fail)
    before = (folder / "labels" / "final" / "a.nii.gz").read_bytes()
    with pytest.raises(ProductError, match=r"label of a: could not be stored .* is kept on the server as a-") as told:
        store.save_label("a", str(sent), "final", {})
    (kept,) = (tmp_path / "workspace" / "refused").iterdir()
    assert kept.read_bytes() == sent.read_bytes()
    assert isinstance(told.value, StorageError) == isinstance(error, OSError)
    assert (folder / "labels" / "final" / "a.nii.gz").read_bytes() == before


def test_a_label_of_a_scan_that_is_gone_is_kept(folder: Path, tmp_path: Path) -> None:
    sent = write_image(tmp_path / "sent.nii.gz", 2)
    with pytest.raises(ImageNotFoundException) as told:
        open_folder(folder).save_label("nobody", str(sent), "final", {})
    assert "is kept on the server as nobody-" in told.value.msg
    (kept,) = (tmp_path / "workspace" / "refused").iterdir()
    assert kept.read_bytes() == sent.read_bytes()


def test_a_name_in_two_spellings_is_one_scan_with_its_label(folder: Path, tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    write_image(folder / f"{nfd}.nii.gz")
    write_image(folder / "labels" / "final" / f"{nfc}.nii.gz", 1)
    store = open_folder(folder)
    assert store.list_images().count(nfc) == 1
    assert nfd not in store.list_images()
    assert nfc in store.get_labeled_images()
    assert store.get_image_uri(nfc) == str(folder / f"{nfd}.nii.gz")
    assert {pair["image"] for pair in store.datalist()} == {str(folder / f"{name}.nii.gz") for name in ("a", nfd)}
    sent = write_image(tmp_path / "sent.nii.gz", 2)
    store.save_label(nfc, str(sent), "final", {"client_id": "ann"})
    labels = [path.name for path in (folder / "labels" / "final").iterdir() if not path.name.isascii()]
    assert labels == [f"{nfc}.nii.gz"]
    assert Path(open_folder(folder).get_label_uri(nfc, "final")).read_bytes() == sent.read_bytes()


def test_an_index_that_an_earlier_version_spelled_otherwise_keeps_what_is_known_of_a_label(folder: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    write_image(folder / f"{nfd}.nii.gz")
    open_folder(folder).save_label(
        nfc, str(write_image(folder.parent / "sent.nii.gz", 1)), "final", {"client_id": "ann"}
    )
    index = json.loads((folder / INDEX).read_text())
    index["objects"][nfd] = index["objects"].pop(nfc)
    (folder / INDEX).write_text(json.dumps(index))
    store = open_folder(folder)
    assert store.get_label_info(nfc, "final")["client_id"] == "ann"
    assert sorted(store.list_images()) == sorted(["a", "b", "c.d", nfc])


def test_a_scan_whose_name_is_no_text_is_left_out_and_labels_without_a_scan_are_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(folder / "labels" / "final" / "gone.nii.gz", 1)
    write_image(folder / "whole.nii.gz").rename(folder / os.fsdecode(b"M\xfcller.nii.gz"))
    store = open_folder(folder)
    assert sorted(store.list_images()) == ["a", "b", "c.d"]
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line for line in told if "M\\xfcller.nii.gz: has a name that is not UTF-8" in line]
    assert [line for line in told if "gone.nii.gz: has no scan beside it" in line]
    store.refresh()
    assert len([record for record in caplog.records if "gone.nii.gz" in record.getMessage()]) == 1


def test_what_a_killed_server_left_half_written_is_removed_at_the_start(folder: Path) -> None:
    left = [
        folder / ".tmp-1.json",
        folder / "labels" / "final" / ".tmp-2.nii.gz",
        folder / "labels" / "organ" / ".tmp-3",
    ]
    for path in left:
        path.write_text("half")
    open_folder(folder, read_only=True)
    assert all(path.exists() for path in left)
    with atomic_path(folder / "labels" / "final" / "b.nii.gz") as being_written:
        being_written.write_text("half")
        open_folder(folder)
        assert being_written.exists()
    assert not any(path.exists() for path in left)
    assert (folder / ".hidden.nii.gz").exists()
