from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import HTTPException
from sqlalchemy import Engine

from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.monai_tasks.strategies import NextScan
from scoring.database.engine import open_database
from scoring.database.score_records import record_score


class Store:
    """A datastore of files, without a count of its changes."""

    def __init__(self, folder: Path, names: list[str]):
        self.folder = folder
        self.names = names
        self.labelled: set[str] = set()
        for name in names:
            (folder / name).touch()

    def list_images(self) -> list[str]:
        return self.names

    def get_labeled_images(self) -> list[str]:
        return sorted(self.labelled)

    def get_image_uri(self, name: str) -> str:
        return str(self.folder / name) if name in self.names else ""

    def get_label_by_image_id(self, name: str, tag: str) -> str:
        return name if name in self.labelled and tag == "final" else ""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(tmp_path / "database.sqlite")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, ["a", "b", "c", "d"])


@pytest.fixture
def least_certain(engine: Engine, store: Store) -> NextScan:
    for name, mean in {"a": 0.9, "b": 0.2, "c": 0.5, "d": 0.3}.items():
        record_score(engine, name, "g1", {"lesion": mean}, seconds=0)
    workspace: Any = SimpleNamespace(current=lambda: "g1")
    register = ScanRegister(store, engine)
    return NextScan("least_certain", workspace=workspace, engine=engine, register=register, lease_seconds=60, seed=0)


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


@pytest.mark.parametrize("client", ["ann", None, ""])
def test_every_request_gets_another_scan_with_or_without_a_name(
    least_certain: NextScan, store: Store, client: str | None
) -> None:
    assert ids(least_certain, store, client, 4) == ["b", "d", "c", "a"]


def test_a_scan_whose_file_is_gone_is_left_out(least_certain: NextScan, store: Store, tmp_path: Path) -> None:
    (tmp_path / "b").unlink()
    assert ids(least_certain, store, "ann", 1) == ["d"]


def test_a_scan_that_was_labelled_by_hand_is_left_out(least_certain: NextScan, store: Store) -> None:
    store.labelled.add("b")
    assert ids(least_certain, store, "ann", 1) == ["d"]


def test_when_nothing_is_left_the_answer_says_why_and_counts(least_certain: NextScan, store: Store) -> None:
    store.labelled = {"a", "b"}
    assert ids(least_certain, store, "ann", 2) == ["d", "c"]
    with pytest.raises(HTTPException) as caught:
        least_certain({"client_id": "ben"}, store)
    assert caught.value.status_code == 404
    detail: Any = caught.value.detail
    assert (detail["labelled"], detail["leased"], detail["broken"], detail["free"]) == (2, 2, 0, 0)
    assert "annotators" in detail["message"]
    assert least_certain({"client_id": "ann"}, store)["served_again"]
