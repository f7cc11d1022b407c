from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from sqlalchemy import Engine, select

from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from lib.errors import InputError
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.task.task_file import task_from
from scoring.database.engine import events, open_database, reading
from scoring.database.scan_list import synchronise_scans
from scoring.worklist.next_scan import next_scan
from scoring.worklist.queue_state import queue_state

TASK = task_from(
    {"name": "two", "modality": "MR", "labels": {"anterior": 1, "posterior": 2}, "region": "brain"}, where="test"
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, array: np.ndarray) -> Path:
        write_volume(tmp_path / name, Volume(array, np.eye(4)))
        return tmp_path / name

    return write


@pytest.fixture
def image(write: Callable[..., Path]) -> Path:
    return write("scan.nii.gz", np.zeros((3, 3, 3), np.float32))


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(tmp_path / "database.sqlite")


@pytest.fixture
def submission(tmp_path: Path, engine: Engine) -> LabelSubmission:
    return LabelSubmission(TASK, engine, refused_folder=tmp_path / "refused", versions_folder=tmp_path / "versions")


@pytest.fixture
def second_class_as_1(write: Callable[..., Path]) -> Path:
    label = np.zeros((3, 3, 3), np.uint8)
    label[1] = 1
    return write("label.nii.gz", label)


def test_a_right_label_is_stored_as_it_was_sent(
    submission: LabelSubmission, image: Path, second_class_as_1: Path
) -> None:
    reviewed = submission.review("s", second_class_as_1, image, "final", {})
    assert reviewed.file == second_class_as_1
    assert reviewed.information == {"warnings": [], "places": [], "voxels": {"anterior": 9, "posterior": 0}}


def test_segments_get_the_tasks_values_by_their_names(
    submission: LabelSubmission, image: Path, second_class_as_1: Path
) -> None:
    sent = {"label_info": [{"name": "posterior", "idx": 1}]}
    reviewed = submission.review("s", second_class_as_1, image, "final", sent)
    try:
        stored = nib.load(reviewed.file)
        assert reviewed.information["voxels"] == {"anterior": 0, "posterior": 9}
        assert np.unique(np.asanyarray(stored.dataobj)).tolist() == [0, 2]
        np.testing.assert_allclose(stored.affine, np.eye(4))
        assert reviewed.file != second_class_as_1
    finally:
        reviewed.file.unlink()


def test_an_unknown_segment_is_refused_and_kept(
    submission: LabelSubmission, image: Path, second_class_as_1: Path, tmp_path: Path, engine: Engine
) -> None:
    sent = {"label_info": [{"name": "tumour", "idx": 1}], "client_id": "ann"}
    with (
        pytest.raises(InputError, match=r"'tumour'.*anterior or posterior.*kept on the server as"),
        submission.keeping("s", second_class_as_1, sent),
    ):
        submission.review("s", second_class_as_1, image, "final", sent)
    (kept,) = (tmp_path / "refused").iterdir()
    assert kept.read_bytes() == second_class_as_1.read_bytes()
    with reading(engine) as connection:
        row = connection.execute(select(events.c.kind, events.c.scan, events.c.client)).one()
    assert tuple(row) == ("refused", "s", "ann")


def test_several_refused_labels_of_a_scan_are_all_kept(
    submission: LabelSubmission, image: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    for size in (2, 4, 5):
        sent = write("label.nii.gz", np.zeros((size, 3, 3), np.uint8))
        refused = pytest.raises(InputError, match="label of s: the label has shape")
        with refused, submission.keeping("s", sent, {}):
            submission.review("s", sent, image, "final", {})
    assert sorted(nib.load(path).shape[0] for path in (tmp_path / "refused").iterdir()) == [2, 4, 5]


def test_a_file_of_an_unknown_kind_is_refused_and_kept(
    submission: LabelSubmission, image: Path, tmp_path: Path
) -> None:
    sent = tmp_path / "label.bin"
    sent.write_bytes(b"1234")
    refused = pytest.raises(InputError, match=r"label of s: is no \.nii\.gz")
    with refused, submission.keeping("s", sent, {}):
        submission.review("s", sent, image, "final", {})
    assert [path.read_bytes() for path in (tmp_path / "refused").iterdir()] == [b"1234"]


def test_a_region_mask_must_lie_on_the_scan(
    submission: LabelSubmission, image: Path, write: Callable[..., Path]
) -> None:
    mask = write("mask.nii.gz", np.full((3, 3, 3), 7, np.uint8))
    assert submission.review("s", mask, image, "brain", {}).information == {}
    with pytest.raises(InputError, match="shape"):
        submission.review("s", write("small.nii.gz", np.ones((2, 2, 2), np.uint8)), image, "brain", {})


def test_a_label_of_another_tag_is_not_looked_at(
    submission: LabelSubmission, image: Path, write: Callable[..., Path]
) -> None:
    draft = write("draft.nii.gz", np.full((1, 1, 1), 99, np.uint8))
    assert submission.review("s", draft, image, "draft", {}).file == draft


def test_an_accepted_label_ends_the_lease(submission: LabelSubmission, engine: Engine) -> None:
    synchronise_scans(engine, ["s", "t"], [])
    served = next_scan(engine, client="ann", strategy="random", generation=None, lease_seconds=60, seed=0)
    assert served is not None
    submission.accept(served.scan, client="ann", warnings=["looks odd"])
    state = queue_state(engine, generation=None)
    assert (state.labelled, state.leased, state.free) == (1, 0, 1)
    with reading(engine) as connection:
        detail = connection.scalar(select(events.c.detail).where(events.c.kind == "submitted"))
    assert detail == "looks odd"
