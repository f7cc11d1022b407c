"""Which files of a folder are scans or labels, of which name."""

import logging
import os
import unicodedata
from pathlib import Path

import pytest

from lib.datasets.image_names import files_by_name, find_image, name_images
from lib.errors import InputError


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        (folder / name).touch()
        os.utime(folder / name, (1000 + number, 1000 + number))
    return folder


def test_suffixes_count_in_any_case_and_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path, "b.NII.GZ", "a.nii", "c.Nrrd", ".hidden.nii.gz", "notes.txt")
    (tmp_path / "series.nii").mkdir()
    assert name_images(tmp_path).files == {
        "a": tmp_path / "a.nii",
        "b": tmp_path / "b.NII.GZ",
        "c": tmp_path / "c.Nrrd",
    }
    assert list(name_images(tmp_path).files) == ["a", "b", "c"]


@pytest.mark.parametrize("written", [("a.nii.gz", "a.nii"), ("a.nii", "a.nii.gz"), ("a.NII.GZ", "a.nii.gz")])
def test_of_two_files_of_one_name_the_one_written_last_counts(tmp_path: Path, written: tuple[str, str]) -> None:
    older, newer = (tmp_path / name for name in written)
    fill(tmp_path, *written, "other.nii")
    images = name_images(tmp_path)
    assert images.files["a"] == find_image(tmp_path, "a") == newer
    assert list(images.ignored) == [older]
    assert images.ignored[older] == f"is not used: {newer.name} has the same name and was written later"


def test_two_files_written_at_once_are_told_apart_in_the_same_way_every_time(tmp_path: Path) -> None:
    fill(tmp_path, "a.nii", "a.nrrd", "a.nii.gz")
    for path in tmp_path.iterdir():
        os.utime(path, (1000, 1000))
    assert name_images(tmp_path).files == {"a": tmp_path / "a.nrrd"}
    assert set(name_images(tmp_path).ignored) == {tmp_path / "a.nii", tmp_path / "a.nii.gz"}


def test_a_link_to_nothing_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "gone.nii.gz").symlink_to(tmp_path / "nowhere.nii.gz")
    images = name_images(tmp_path)
    assert images.files == {}
    assert images.ignored == {tmp_path / "gone.nii.gz": "links to a file that is not there, and is not used"}
    assert find_image(tmp_path, "gone") is None


def test_a_name_that_begins_another_is_another(tmp_path: Path) -> None:
    fill(tmp_path, "case_10.nii.gz", "case_1.v2.nii.gz")
    assert find_image(tmp_path, "case_1") is None


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert name_images(tmp_path / "none").files == {}
    assert find_image(tmp_path / "none", "a") is None


def test_of_two_files_of_one_scan_of_a_data_set_the_one_written_last_counts_and_the_other_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, "a.nii.gz", "a.nii")
    with caplog.at_level(logging.WARNING):
        assert files_by_name(tmp_path) == {"a": tmp_path / "a.nii"}
    assert caplog.messages == [f"{tmp_path}/a.nii.gz: is not used: a.nii has the same name and was written later"]


@pytest.mark.parametrize(("folder", "message"), [("none", "no such folder"), ("empty", "holds no .nii.gz")])
def test_a_data_set_without_images_is_refused(tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        files_by_name(tmp_path / folder)


def test_a_link_that_leads_nowhere_hides_no_other_scan(tmp_path: Path) -> None:
    fill(tmp_path, "a.nii.gz", "plain.txt")
    (tmp_path / "circle.nii.gz").symlink_to("circle.nii.gz")
    (tmp_path / "through.nii.gz").symlink_to(tmp_path / "plain.txt" / "x.nii.gz")
    images = name_images(tmp_path)
    assert list(images.files) == ["a"]
    assert sorted(path.name for path in images.ignored) == ["circle.nii.gz", "through.nii.gz"]
    assert find_image(tmp_path, "circle") is None


NFC, NFD = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))


def test_a_file_whose_name_is_no_text_is_left_out_by_name_and_the_others_stay(tmp_path: Path) -> None:
    fill(tmp_path, "a.nii.gz", "two\nlines.nii.gz", os.fsdecode(b"M\xfcller.nii.gz"))
    images = name_images(tmp_path)
    assert list(images.files) == ["a"]
    assert len(images.ignored) == 2
    assert all("rename it" in reason for reason in images.ignored.values())


def test_what_is_left_out_is_told_in_one_line_of_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, "a.nii.gz", "two\nlines.nii.gz", os.fsdecode(b"M\xfcller.nii.gz"))
    files_by_name(tmp_path)
    told = sorted(record.getMessage() for record in caplog.records)
    assert [line.split(":")[0].removeprefix(f"{tmp_path}/") for line in told] == [
        "M\\xfcller.nii.gz",
        "two\\nlines.nii.gz",
    ]
    assert all("\n" not in line and line.encode() for line in told)


def test_a_name_spelled_in_two_ways_is_one(tmp_path: Path) -> None:
    fill(tmp_path, f"{NFC}.nii.gz", f"{NFD}.nii.gz")
    images = name_images(tmp_path)
    assert images.files == {NFC: tmp_path / f"{NFD}.nii.gz"}
    assert list(images.ignored) == [tmp_path / f"{NFC}.nii.gz"]
    for spelled in (NFC, NFD):
        assert find_image(tmp_path, spelled) == tmp_path / f"{NFD}.nii.gz"
