"""Two annotators, one scan: the younger label stands only where its annotator knew of the older one."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from apps.calibrated_ensemble.datastores.studies_folder import StudiesFolder
from lib.errors import ConflictError, InputError
from lib.images.files import read_label
from scoring.database.engine import events, open_database, reading
from tests.apps.datastores.test_studies_folder import open_folder, write_image


@pytest.fixture
def store(tmp_path: Path) -> StudiesFolder:
    write_image(tmp_path / "studies" / "scan.nii.gz")
    return open_folder(tmp_path / "studies")


@pytest.fixture
def engine(tmp_path: Path, store: StudiesFolder) -> Engine:
    return open_database(tmp_path / "workspace" / "database.sqlite")


def submit(store: StudiesFolder, folder: Path, value: int, who: str, **sent: Any) -> list[str]:
    file = write_image(folder / f"sent_{who}.nii.gz", value)
    store.save_label("scan", str(file), "final", {"client_id": who, **sent})
    return store.get_label_info("scan", "final")["review"]["warnings"]


def standing(store: StudiesFolder) -> int:
    return int(read_label(store.get_label_uri("scan", "final"), values=[1, 2]).array.max())


def kept(folder: Path) -> dict[str, int]:
    files = (folder / "workspace" / "versions").glob("*")
    return {path.name: int(read_label(path, values=[1, 2]).array.max()) for path in files}


def test_the_second_of_two_who_began_from_nothing_is_told_and_both_labels_are_there(
    store: StudiesFolder, tmp_path: Path, engine: Engine
) -> None:
    assert store.label_version("scan") == ""
    assert submit(store, tmp_path, 1, "ann", started_from="") == []
    version = store.label_version("scan")
    with pytest.raises(ConflictError, match=r"ann submitted a label of this scan at .* UTC that you did not") as caught:
        submit(store, tmp_path, 2, "bob", started_from="")
    assert standing(store) == 1
    facts = caught.value.facts
    assert kept(tmp_path) == {facts["kept_as"]: 2}
    assert (facts["conflict"], facts["label_version"], facts["submitted_by"]) == ("label", version, "ann")
    assert isinstance(facts["submitted_at"], float)
    assert store.get_label_info("scan", "final")["client_id"] == "ann"
    with reading(engine) as connection:
        assert connection.execute(select(events.c.kind, events.c.scan, events.c.client)).all() == [
            ("kept", "scan", "bob")
        ]


def test_who_chooses_their_own_replaces_the_other_one_which_is_kept(store: StudiesFolder, tmp_path: Path) -> None:
    submit(store, tmp_path, 1, "ann", started_from="")
    with pytest.raises(ConflictError) as caught:
        submit(store, tmp_path, 2, "bob", started_from="")
    assert submit(store, tmp_path, 2, "bob", started_from=caught.value.facts["label_version"]) == []
    assert standing(store) == 2
    assert sorted(kept(tmp_path).values()) == [1, 2]


def test_a_third_label_that_came_while_one_chose_is_a_conflict_again(store: StudiesFolder, tmp_path: Path) -> None:
    submit(store, tmp_path, 1, "ann", started_from="")
    version = store.label_version("scan")
    submit(store, tmp_path, 2, "eve", started_from=version)
    with pytest.raises(ConflictError, match="eve"):
        submit(store, tmp_path, 1, "bob", started_from=version)


def test_a_client_that_says_nothing_replaces_and_loses_nothing(store: StudiesFolder, tmp_path: Path) -> None:
    assert submit(store, tmp_path, 1, "ann") == []
    (told,) = submit(store, tmp_path, 2, "slicer")
    assert standing(store) == 2
    ((name, value),) = kept(tmp_path).items()
    assert value == 1
    assert told.startswith("The label that ann submitted at ")
    assert told.endswith(f"is replaced; it is kept on the server as {name}")


def test_the_same_label_again_is_no_conflict(store: StudiesFolder, tmp_path: Path) -> None:
    submit(store, tmp_path, 1, "ann", started_from="")
    assert submit(store, tmp_path, 1, "ann", started_from="") == []
    assert kept(tmp_path) == {}


def test_a_label_that_was_put_into_the_folder_by_hand_is_not_lost(store: StudiesFolder, tmp_path: Path) -> None:
    write_image(tmp_path / "studies" / "labels" / "final" / "scan.nii", 1)
    with pytest.raises(ConflictError, match="Somebody submitted a label of this scan that"):
        submit(store, tmp_path, 2, "bob", started_from="")
    assert (tmp_path / "studies" / "labels" / "final" / "scan.nii").exists()


def test_where_the_label_was_removed_meanwhile_there_is_nothing_to_choose(store: StudiesFolder, tmp_path: Path) -> None:
    submit(store, tmp_path, 1, "ann")
    version = store.label_version("scan")
    store.remove_label("scan", "final")
    assert submit(store, tmp_path, 2, "bob", started_from=version) == []


@pytest.mark.parametrize("wrong", [1, ["a"], {"a": 1}, True])
def test_what_is_no_version_is_refused(store: StudiesFolder, tmp_path: Path, wrong: object) -> None:
    with pytest.raises(InputError, match=r"started_from: is .*; give the label_version"):
        submit(store, tmp_path, 1, "ann", started_from=wrong)
    assert store.label_version("scan") == ""


def test_a_label_of_another_tag_has_no_versions(store: StudiesFolder, tmp_path: Path) -> None:
    for value in (1, 2):
        store.save_label("scan", str(write_image(tmp_path / "sent.nii.gz", value)), "draft", {"started_from": "x"})
    assert kept(tmp_path) == {}
