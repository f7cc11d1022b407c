import os
import unicodedata
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.datasets.make_studies import Prepared, prepare_studies, seeded_order
from lib.datasets.studies_folder import read_studies
from lib.errors import InputError, StorageError
from lib.task.task import Task
from lib.task.task_file import task_from

MINIMAL = {"name": "lesions", "modality": "CT", "labels": {"lesion": 1}}


def a_task(**settings: str) -> Task:
    return task_from(MINIMAL | settings, where="lesions.yaml")


def fill(folder: Path, *names: str, content: str = "") -> Path:
    """Make files; nothing here opens them as images."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(content or f"{folder.name}/{name}")
    return folder


@pytest.fixture
def decathlon(tmp_path: Path) -> tuple[Path, Path]:
    names = [f"case_{i:03d}.nii.gz" for i in range(10)]
    return fill(tmp_path / "imagesTr", *names, "._case_000.nii.gz"), fill(tmp_path / "labelsTr", *names[:8])


def test_scans_are_labelled_when_their_label_is_final(tmp_path: Path) -> None:
    fill(tmp_path, "b.nii.gz", "a.nrrd", "c.nii", ".hidden.nii.gz", "datastore_v2.json", "notes.txt")
    fill(tmp_path / "labels" / "final", "b.nii.gz", ".tmp-a.nii.gz")
    fill(tmp_path / "labels" / "original", "c.nii.gz")
    studies = read_studies(tmp_path, a_task())
    assert [scan.name for scan in studies.labelled] == ["b"]
    assert studies.labelled[0].label == tmp_path / "labels" / "final" / "b.nii.gz"
    assert [scan.name for scan in studies.unlabelled] == ["a", "c"]
    assert studies.labels_without_scan == ()


def test_a_folder_without_labels_has_only_unlabelled_scans(tmp_path: Path) -> None:
    fill(tmp_path, "a.nii.gz")
    assert read_studies(tmp_path, a_task()).labelled == ()


def test_a_label_without_a_scan_is_told_and_not_used(tmp_path: Path) -> None:
    fill(tmp_path, "a.nii.gz")
    fill(tmp_path / "labels" / "final", "a.nii.gz", "gone.nii.gz")
    studies = read_studies(tmp_path, a_task())
    assert [scan.name for scan in studies.labelled] == ["a"]
    assert studies.labels_without_scan == (tmp_path / "labels" / "final" / "gone.nii.gz",)


def test_the_label_that_was_saved_last_counts(tmp_path: Path) -> None:
    fill(tmp_path, "a.nii.gz")
    final = fill(tmp_path / "labels" / "final", "a.nii.gz", "a.nrrd")
    os.utime(final / "a.nii.gz", (1000, 1000))
    assert read_studies(tmp_path, a_task()).labelled[0].label == final / "a.nrrd"
    os.utime(final / "a.nrrd", (999, 999))
    assert read_studies(tmp_path, a_task()).labelled[0].label == final / "a.nii.gz"


def test_regions_come_from_the_tag_that_the_task_names(tmp_path: Path) -> None:
    fill(tmp_path, "a.nii.gz", "b.nii.gz", "c.nii.gz")
    fill(tmp_path / "labels" / "final", "a.nii.gz", "b.nii.gz")
    kidney = fill(tmp_path / "labels" / "kidney", "a.nii.gz", "c.nii.gz")
    with_region = read_studies(tmp_path, a_task(region="kidney"))
    assert [scan.region for scan in with_region.labelled] == [kidney / "a.nii.gz", None]
    assert with_region.unlabelled[0].region == kidney / "c.nii.gz"
    assert read_studies(tmp_path, a_task()).labelled[0].region is None


def test_patients_come_from_the_tasks_pattern(tmp_path: Path) -> None:
    fill(tmp_path, "P1_a.nii.gz", "P1_b.nii.gz")
    fill(tmp_path / "labels" / "final", "P1_a.nii.gz", "P1_b.nii.gz")
    studies = read_studies(tmp_path, a_task(patient_pattern="^(P[0-9]+)"))
    assert {scan.patient for scan in studies.labelled} == {"P1"}


@pytest.mark.parametrize(("folder", "message"), [("none", "no such folder"), ("empty", "holds no scans")])
def test_a_folder_without_scans_is_refused(tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        read_studies(tmp_path / folder, a_task())


def test_a_decathlon_folder_becomes_a_studies_folder(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    prepared = prepare_studies(*decathlon, tmp_path / "studies", labelled=3)
    studies = read_studies(tmp_path / "studies", a_task())
    assert len(studies.labelled) == prepared.scans - len(studies.unlabelled) == 3
    assert tuple(scan.name for scan in studies.labelled) == prepared.labels
    for scan in studies.labelled:
        assert scan.image.read_text() == f"imagesTr/{scan.name}.nii.gz"
        assert scan.label.read_text() == f"labelsTr/{scan.name}.nii.gz"


def test_all_labels_are_taken_unless_told_otherwise(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    assert len(prepare_studies(*decathlon, tmp_path / "studies").labels) == 8
    assert prepare_studies(*decathlon, tmp_path / "none", labelled=0).labels == ()


def test_the_channel_is_no_part_of_an_nnunet_scans_name(tmp_path: Path) -> None:
    images = fill(tmp_path / "imagesTr", "case_1_0000.nii.gz", "case_2_0000.nii.gz", "case_3_0000.NII.GZ")
    labels = fill(tmp_path / "labelsTr", "case_1.nii.gz", "case_2.nii.gz")
    prepare_studies(images, labels, tmp_path / "with")
    prepare_studies(images, None, tmp_path / "without")
    for folder in ("with", "without"):
        names = {path.name for path in (tmp_path / folder).glob("*.nii.gz")}
        assert names == {"case_1.nii.gz", "case_2.nii.gz", "case_3.nii.gz"}
    assert [scan.name for scan in read_studies(tmp_path / "with", a_task()).labelled] == ["case_1", "case_2"]


@pytest.mark.parametrize("with_labels", [True, False])
def test_several_channels_are_refused(tmp_path: Path, with_labels: bool) -> None:
    images = fill(tmp_path / "images", *[f"case_{i}_{c:04d}.nii.gz" for i in range(3) for c in range(2)])
    labels = fill(tmp_path / "labels", "case_1.nii.gz") if with_labels else None
    with pytest.raises(InputError, match="case_0 has 2 channels"):
        prepare_studies(images, labels, tmp_path / "studies")
    assert not (tmp_path / "studies").exists()


def test_numbered_scans_are_no_channels(tmp_path: Path) -> None:
    images = fill(tmp_path / "images", "scan_0000.nii.gz", "scan_0001.nii.gz", "scan_0002.nii.gz")
    labels = fill(tmp_path / "labels", "scan_0001.nii.gz")
    assert prepare_studies(images, None, tmp_path / "one").scans == 3
    assert prepare_studies(images, labels, tmp_path / "two").labels == ("scan_0001",)


def test_repeating_changes_nothing(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        found = [path for path in (tmp_path / "studies").rglob("*") if path.is_file()]
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}

    first = prepare_studies(*decathlon, tmp_path / "studies", labelled=4)
    before = state()
    assert prepare_studies(*decathlon, tmp_path / "studies", labelled=4) == first
    assert state() == before


@given(few=st.integers(0, 8), more=st.integers(0, 8), seed=st.integers(0, 1000))
def test_more_labels_hold_the_fewer_ones(
    tmp_path_factory: pytest.TempPathFactory, few: int, more: int, seed: int
) -> None:
    root = tmp_path_factory.mktemp("seeded")
    names = [f"case_{i:03d}.nii.gz" for i in range(8)]
    images, labels = fill(root / "imagesTr", *names), fill(root / "labelsTr", *names)
    few, more = sorted((few, more))
    first = prepare_studies(images, labels, root / "studies", labelled=few, seed=seed)
    second = prepare_studies(images, labels, root / "studies", labelled=more, seed=seed)
    assert len(first.labels) == few
    assert set(first.labels) <= set(second.labels)
    assert {scan.name for scan in read_studies(root / "studies", a_task()).labelled} == set(second.labels)


def test_another_seed_takes_other_labels(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    taken = {prepare_studies(*decathlon, tmp_path / str(s), labelled=3, seed=s).labels for s in range(5)}
    assert len(taken) > 1


def test_a_label_that_an_annotator_changed_is_kept_and_so_is_the_source(
    tmp_path: Path, decathlon: tuple[Path, Path]
) -> None:
    name = prepare_studies(*decathlon, tmp_path / "studies", labelled=1).labels[0]
    label = tmp_path / "studies" / "labels" / "final" / f"{name}.nii.gz"
    # MONAI Label writes into the file that stands there, which must not be the source.
    with label.open("w") as file:
        file.write("corrected")
    assert (decathlon[1] / label.name).read_text() == f"labelsTr/{label.name}"
    assert prepare_studies(*decathlon, tmp_path / "studies", labelled=1).kept == (name,)
    assert label.read_text() == "corrected"


def test_a_different_scan_is_not_overwritten(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    other = fill(tmp_path / "studies", "case_009.nii.gz", content="other") / "case_009.nii.gz"
    with pytest.raises(InputError, match=r"case_009\.nii\.gz: differs from"):
        prepare_studies(*decathlon, tmp_path / "studies")
    assert other.read_text() == "other"
    assert [path.name for path in (tmp_path / "studies").iterdir()] == ["case_009.nii.gz"]


def test_removing_a_scan_by_the_path_the_server_resolves_leaves_the_source(
    tmp_path: Path, decathlon: tuple[Path, Path]
) -> None:
    prepare_studies(*decathlon, tmp_path / "studies")
    Path(os.path.realpath(tmp_path / "studies" / "case_000.nii.gz")).unlink()
    assert (decathlon[0] / "case_000.nii.gz").exists()


def test_scans_are_symbolic_links_where_hard_ones_are_impossible(
    tmp_path: Path, decathlon: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    prepare_studies(*decathlon, tmp_path / "linked")
    link = tmp_path / "linked" / "case_000.nii.gz"
    assert link.is_symlink()
    assert link.readlink().is_absolute()
    monkeypatch.setattr(Path, "symlink_to", refuse)
    prepare_studies(*decathlon, tmp_path / "copied")
    copy = tmp_path / "copied" / "case_000.nii.gz"
    assert not copy.is_symlink()
    assert copy.read_text() == link.read_text()
    for folder in ("linked", "copied"):
        assert prepare_studies(*decathlon, tmp_path / folder).kept == ()


def test_region_masks_get_the_tasks_tag(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    prepared = prepare_studies(*decathlon, tmp_path / "studies", regions=decathlon[1], region_tag="kidney")
    assert prepared == Prepared(10, 8, prepared.labels, (), 8, ())
    studies = read_studies(tmp_path / "studies", a_task(region="kidney"))
    assert all(scan.region and scan.region.parent.name == "kidney" for scan in studies.labelled)
    with pytest.raises(InputError, match="need the tag"):
        prepare_studies(*decathlon, tmp_path / "other", regions=decathlon[1])


@pytest.mark.parametrize("labelled", [-1, 9])
def test_more_labels_than_there_are_is_refused(tmp_path: Path, decathlon: tuple[Path, Path], labelled: int) -> None:
    with pytest.raises(InputError, match=f"labelled: is {labelled}, but 8 scans have a label"):
        prepare_studies(*decathlon, tmp_path / "studies", labelled=labelled)


def test_labels_and_masks_that_match_no_scan_are_named(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    images, labels = decathlon
    fill(labels, "Case_008.nii.gz")
    regions = fill(tmp_path / "regionsTr", "case_000.nii.gz", "case_00O.nii.gz")
    prepared = prepare_studies(images, labels, tmp_path / "studies", regions=regions, region_tag="organ")
    assert prepared.without_scan == (labels / "Case_008.nii.gz", regions / "case_00O.nii.gz")
    assert not list((tmp_path / "studies" / "labels").rglob("Case_008*"))


def test_names_spelled_in_two_ways_of_unicode_are_one(tmp_path: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    images, labels = fill(tmp_path / "imagesTr", f"{nfd}.nii.gz"), fill(tmp_path / "labelsTr", f"{nfc}.nii.gz")
    prepared = prepare_studies(images, labels, tmp_path / "studies")
    assert (prepared.labels, prepared.without_scan) == ((nfc,), ())
    (scan,) = read_studies(tmp_path / "studies", a_task()).labelled
    assert (scan.name, scan.image.name, scan.label.name) == (nfc, f"{nfc}.nii.gz", f"{nfc}.nii.gz")
    assert prepare_studies(images, labels, tmp_path / "studies") == prepared


def test_labels_of_other_scans_are_refused(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    labels = fill(tmp_path / "others", "somebody.nii.gz")
    with pytest.raises(InputError, match=r"no label matches a scan.*somebody\.nii\.gz"):
        prepare_studies(decathlon[0], labels, tmp_path / "studies")


def test_a_missing_or_empty_source_is_refused(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="no such folder"):
        prepare_studies(tmp_path / "none", None, tmp_path / "studies")
    with pytest.raises(InputError, match="no such folder"):
        prepare_studies(decathlon[0], tmp_path / "none", tmp_path / "studies")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.nii\.gz"):
        prepare_studies(tmp_path / "empty", None, tmp_path / "studies")


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path, decathlon: tuple[Path, Path]) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        prepare_studies(*decathlon, blocked / "studies")


@given(st.sets(st.text(max_size=3), max_size=8), st.integers(0, 9), st.randoms())
def test_the_order_of_labelling_depends_on_names_and_seed_alone(names: set[str], seed: int, chance: Random) -> None:
    shuffled = list(names)
    chance.shuffle(shuffled)
    order = seeded_order(shuffled, seed)
    assert sorted(order) == sorted(names)
    assert order == seeded_order(names, seed)


def test_another_seed_gives_another_order() -> None:
    assert seeded_order("abcdefgh", 0) != seeded_order("abcdefgh", 1)
