import json
import shutil
import threading
import unicodedata
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from lib.errors import BusyError, DamagedGenerationError, NotTrainedError, StorageError
from lib.models import workspace as workspace_module
from lib.models.generation import read_generation
from lib.models.workspace import Workspace
from tests.tiny_training import Trained, full_disk, tree


def test_before_the_first_generation_there_is_none(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    assert workspace.current() is None
    with pytest.raises(NotTrainedError, match="no model is trained yet; label some scans, then train"):
        workspace.generation()
    assert not workspace.root.exists()


def test_the_current_generation_is_the_one_that_was_made_current(copied: Trained) -> None:
    assert copied.workspace.current() == copied.generation.id
    assert copied.workspace.generation().key == copied.generation.key


def test_a_current_generation_that_is_gone_is_named(copied: Trained) -> None:
    (copied.workspace.root / "current").write_text("20200101T000000-00000000")
    with pytest.raises(DamagedGenerationError, match=r"20200101T000000-00000000/manifest\.json: cannot be read"):
        copied.workspace.generation()


def test_a_generation_is_made_current_in_one_step(copied: Trained, tmp_path: Path) -> None:
    """Whoever reads meanwhile gets the old or the new one."""
    workspace, ids = copied.workspace, set()
    others = [replace(copied.generation, id=name * 200) for name in "ab"]
    workspace.make_current(others[0])
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            ids.add(workspace.current())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        workspace.make_current(others[number % 2])
    ended.set()
    reader.join()
    assert ids <= {"a" * 200, "b" * 200}


def test_a_full_disk_leaves_the_old_generation_current(copied: Trained) -> None:
    before = tree(copied.workspace.root)
    other = replace(copied.generation, id="x" * 50)
    with full_disk(10), pytest.raises(StorageError, match="free some space"):
        copied.workspace.make_current(other)
    assert tree(copied.workspace.root) == before


def test_looking_for_baselines_reads_no_generation_whose_manifest_says_that_it_is_none(
    copied: Trained, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a year of nights there are hundreds."""
    generations = copied.workspace.generations
    for number in range(3):
        other = generations / f"2020010{number + 1}T000000-00000000"
        shutil.copytree(copied.generation.path, other)
        (other / "plan.json").write_text("{")
    read: list[Path] = []
    monkeypatch.setattr(workspace_module, "read_generation", lambda path: read.append(path) or read_generation(path))
    assert copied.workspace.baselines() == {}
    assert read == [copied.generation.path]
    assert caplog.records == []


def test_folds_are_kept_for_their_number_of_folds(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.read_folds(2) == {}
    workspace.write_folds({"anna": 1, "bert": 0}, 2)
    assert Workspace(tmp_path).read_folds(2) == {"anna": 1, "bert": 0}
    assert workspace.read_folds(3) == {}


def test_one_training_at_a_time(tmp_path: Path) -> None:
    first, second = Workspace(tmp_path), Workspace(tmp_path)
    refused = pytest.raises(BusyError, match="another training is running here")
    with first.training_lock(), refused, second.training_lock():
        pass
    with second.training_lock():
        pass


def test_the_right_to_train_ends_with_an_error(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(RuntimeError, match="diverged"), workspace.training_lock():
        raise RuntimeError("diverged")
    with workspace.training_lock():
        pass


def test_a_workspace_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    workspace = Workspace(tmp_path / "file" / "workspace")
    with (
        pytest.raises(StorageError, match=r"cannot be written .*; choose a workspace that is writable"),
        workspace.training_lock(),
    ):
        pass
    assert workspace.current() is None


def test_what_killed_trainings_left_is_removed_and_nothing_else(copied: Trained) -> None:
    workspace = copied.workspace
    before = tree(workspace.root)
    for folder in (workspace.generations, workspace.prepared_scans):
        (folder / ".tmp-folder").mkdir()
        (folder / ".tmp-folder" / "file").write_text("half")
    (workspace.members / ".tmp-member.pt").write_text("half")
    (workspace.out_of_fold / ".tmp-scan.npz").write_text("half")
    workspace.remove_leftovers()
    assert tree(workspace.root) == before
    Workspace(workspace.root / "new").remove_leftovers()


DAMAGED_FOLDS = [
    b'{"fold_count": 3, "pat',
    b"[]",
    b'{"fold_count": 2}',
    b'{"fold_count": 2, "patients": ["anna"]}',
    b'{"fold_count": 2, "patients": {"anna": "first"}}',
    b'{"fold_count": "two", "patients": {}}',
    b"\xff\xfe",
    b"",
]


@pytest.mark.parametrize("content", DAMAGED_FOLDS)
def test_damaged_folds_are_named_and_taken_from_the_newest_generation(
    copied: Trained, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    workspace, file = copied.workspace, copied.workspace.root / "folds.json"
    before = workspace.read_folds(2)
    file.write_bytes(content)
    assert workspace.read_folds(2) == before == copied.generation.fold_of_patient
    assert caplog.messages[0].startswith(f"{file}: is damaged (")
    assert workspace.read_folds(3) == {}
    assert workspace.assign_folds(sorted(before), fold_count=2, seed=0) == before
    assert Workspace(workspace.root).read_folds(2) == before  # written whole again


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"", b"../../elsewhere", b"two\nlines", b"nul\0", b"generations/x", b"."]
)
def test_a_damaged_name_of_the_current_generation_is_named(copied: Trained, content: bytes) -> None:
    (copied.workspace.root / "current").write_bytes(content)
    for ask in (copied.workspace.current, copied.workspace.generation):
        with pytest.raises(DamagedGenerationError, match=r"current: is damaged, it holds b.*; train again") as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert not copied.workspace.is_current(copied.generation)
    copied.workspace.make_current(copied.generation)
    assert copied.workspace.is_current(copied.generation)


def test_a_name_of_the_current_generation_that_cannot_be_read_is_no_missing_model(copied: Trained) -> None:
    (copied.workspace.root / "current").unlink()
    (copied.workspace.root / "current").mkdir()
    with pytest.raises(StorageError, match="current: cannot be read"):
        copied.workspace.current()


def test_folds_that_an_earlier_version_spelled_otherwise_are_those_of_the_same_patients(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    (tmp_path / "folds.json").write_text(json.dumps({"fold_count": 2, "patients": {nfd: 1}}))
    assert Workspace(tmp_path).read_folds(2) == {nfc: 1}


def test_one_scoring_waits_for_the_other(tmp_path: Path) -> None:
    workspace, order = Workspace(tmp_path / "new"), []

    def score() -> None:
        with Workspace(tmp_path / "new").scoring_lock():
            order.append("second")

    second = Thread(target=score)
    with workspace.scoring_lock():
        second.start()
        second.join(timeout=0.3)
        order.append("first")
    second.join(timeout=10)
    assert order == ["first", "second"]
