"""The index while several threads and processes work with the folder; what it lists is tested with the folder."""

import threading
from pathlib import Path

import pytest

from apps.calibrated_ensemble.datastores import indexed_folder
from apps.calibrated_ensemble.datastores.indexed_scans import IndexedScans
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from lib.datasets.image_names import NamedImages, name_images
from scoring.database.engine import open_database
from scoring.database.scan_list import mark_labelled
from scoring.worklist.queue_state import queue_state
from tests.apps.datastores.test_studies_folder import TASK, open_folder, write_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_image(tmp_path / "studies" / f"{name}.nii.gz")
    return tmp_path / "studies"


def test_a_label_that_comes_while_the_folder_is_looked_through_keeps_its_record(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_folder(folder)
    sent = str(write_image(tmp_path / "sent.nii.gz", 1))
    saving = threading.Thread(target=lambda: store.save_label("b", sent, "final", {"client_id": "ann"}))

    def list_and_save(path: Path) -> NamedImages:
        found = name_images(path)
        if path.name == "final":
            saving.start()
            saving.join(0.5)  # long enough to be done, were the index not locked
        return found

    write_image(folder / "new.nii.gz")
    with monkeypatch.context() as patch:
        patch.setattr(indexed_folder, "name_images", list_and_save)
        store.refresh()
    saving.join(30)
    assert store.get_label_info("b", "final")["client_id"] == "ann"
    assert "new" in store.list_images()
    assert open_folder(folder).get_label_info("b", "final")["client_id"] == "ann"


def test_notes_of_two_processes_are_both_kept(folder: Path) -> None:
    first, second = open_folder(folder), open_folder(folder)
    first.update_image_info("a", {"first": 1})
    second.update_image_info("a", {"second": 2})
    info = open_folder(folder).get_image_info("a")
    assert (info["first"], info["second"]) == (1, 2)


def test_a_label_that_another_server_stored_is_never_served_again(folder: Path, tmp_path: Path) -> None:
    engine = open_database(tmp_path / "shared.sqlite")
    first, second = open_folder(folder), open_folder(folder)
    registers = [ScanRegister(IndexedScans(store, TASK), engine) for store in (first, second)]
    for register in registers:
        register.synchronise()
    first.save_label("a", str(write_image(tmp_path / "sent.nii.gz", 1)), "final", {})
    mark_labelled(engine, "a")
    # Nobody watches the folder for the second one; a new scan makes it list its scans.
    second.update_image_info("b", {"note": "x"})
    registers[1].synchronise(always=True)
    assert queue_state(engine, generation=None).labelled == 1
    assert not registers[1].scans.is_unlabelled("a")


def test_a_label_that_is_removed_is_asked_for_again_though_the_clock_ran_ahead(folder: Path, tmp_path: Path) -> None:
    engine = open_database(tmp_path / "shared.sqlite")
    store = open_folder(folder)
    register = ScanRegister(IndexedScans(store, TASK), engine)
    register.synchronise()
    store.save_label("a", str(write_image(tmp_path / "sent.nii.gz", 1)), "final", {})
    mark_labelled(engine, "a", now=4e9)
    register.synchronise()
    assert queue_state(engine, generation=None).labelled == 1
    store.remove_label("a", "final")
    register.synchronise()
    assert queue_state(engine, generation=None).labelled == 0
