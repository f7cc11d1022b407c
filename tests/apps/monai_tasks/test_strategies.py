from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.monai_tasks.strategies import NextScan, NothingLeftError
from apps.calibrated_ensemble.project import Project
from lib.datasets.scan_source import ScanNames
from lib.datasets.studies_folder import FolderScans
from scoring.database.score_records import Scored, record_score
from scoring.worklist.leases import end_lease
from tests.apps.made_up_project import ONE_CLASS, open_project


class Store(FolderScans):
    """Scans without a count of their changes, of which some files may be gone when they are served."""

    def __init__(self, folder: Path, names: list[str]):
        super().__init__(folder, ONE_CLASS)
        self.listed = frozenset(names)
        self.marked: set[str] = set()
        for name in names:
            (folder / f"{name}.nii.gz").touch()

    def names(self) -> ScanNames:
        return ScanNames(self.listed, frozenset(self.marked))

    def is_unlabelled(self, name: str) -> bool:
        return super().is_unlabelled(name) and name not in self.marked


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, ["a", "b", "c", "d"])


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with open_project(tmp_path, lease_minutes="1") as project:
        (project.workspace.root / "current").write_text("g1")
        yield project


@pytest.fixture
def least_certain(project: Project, store: Store) -> NextScan:
    for name, mean in {"a": 0.9, "b": 0.2, "c": 0.5, "d": 0.3}.items():
        record_score(project.engine, name, "g1", {"lesion": mean}, seconds=0)
    return NextScan("least_certain", project, ScanRegister(store, project.engine))


def ids(strategy: NextScan, store: Store, client: str | None, count: int) -> list[str]:
    return [strategy({"client_id": client}, store)["id"] for _ in range(count)]


def test_the_answer_holds_what_the_annotator_should_know(least_certain: NextScan, store: Store) -> None:
    answer = least_certain({"client_id": "ann"}, store)
    assert answer.pop("lease_expires") > 0
    assert answer == {
        "id": "b",
        "estimated_dsc": {"lesion": 0.2},
        "mean_estimated_dsc": 0.2,
        "generation": "g1",
        "served_again": False,
    }


def test_an_estimate_of_a_file_that_was_replaced_is_shown_to_nobody(
    least_certain: NextScan, store: Store, project: Project, tmp_path: Path
) -> None:
    scored = Scored(store.stamp("b"), "a digest")
    record_score(project.engine, "b", "g1", {"lesion": 0.2}, seconds=0, scored=scored)
    assert least_certain({"client_id": "ann"}, store)["mean_estimated_dsc"] == 0.2
    end_lease(project.engine, "b", client="ann")
    (tmp_path / "b.nii.gz").write_bytes(b"exported again")
    answer = least_certain({"client_id": "ann"}, store)
    assert (answer["id"], answer["estimated_dsc"], answer["mean_estimated_dsc"]) == ("b", None, None)


@pytest.mark.parametrize("client", ["ann", None, ""])
def test_every_request_gets_another_scan_with_or_without_a_name(
    least_certain: NextScan, store: Store, client: str | None
) -> None:
    assert ids(least_certain, store, client, 4) == ["b", "d", "c", "a"]


def test_a_scan_whose_file_is_gone_is_left_out(least_certain: NextScan, store: Store, tmp_path: Path) -> None:
    (tmp_path / "b.nii.gz").unlink()
    assert ids(least_certain, store, "ann", 1) == ["d"]


def test_a_scan_that_was_labelled_by_hand_is_left_out(least_certain: NextScan, store: Store) -> None:
    store.marked.add("b")
    assert ids(least_certain, store, "ann", 1) == ["d"]


def test_when_nothing_is_left_the_answer_says_why_and_counts(least_certain: NextScan, store: Store) -> None:
    store.marked = {"a", "b"}
    assert ids(least_certain, store, "ann", 2) == ["d", "c"]
    with pytest.raises(NothingLeftError, match="annotators") as caught:
        least_certain({"client_id": "ben"}, store)
    assert caught.value.counts == {"labelled": 2, "leased": 2, "broken": 0, "free": 0}
    assert least_certain({"client_id": "ann"}, store)["served_again"]
