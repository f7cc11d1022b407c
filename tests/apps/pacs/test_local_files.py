"""Local copies of a PACS's labels, asked for by names that no series has."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from apps.calibrated_ensemble.pacs.local_files import LocalFiles
from lib.errors import InputError

UID = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    for name in ("secret", "labels/original/secret", f"labels/original/{UID}"):
        path = tmp_path / "pacs" / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text('{"known": 1}')
    return LocalFiles(tmp_path / "pacs", Mock())


def test_a_label_is_found_by_the_name_of_its_series(files: LocalFiles) -> None:
    assert files.has_label(UID, "original")
    assert files.information(UID, "original") == {"known": 1}
    assert files.tags() == ["original"]


@pytest.mark.parametrize(
    "name", ["../../secret", "../original/secret", "secret", "..", "", "a\x00", "1" * 5000, "1..2"]
)
def test_no_other_name_leads_to_a_file(files: LocalFiles, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert not files.has_label(name, "original")
    assert files.information(name, "original") == {}
    files.remove_label(name, "original")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("tag", ["../labels/original", "..", "", "a/b", "x" * 300])
def test_a_tag_that_is_a_path_is_refused(files: LocalFiles, tag: str) -> None:
    with pytest.raises(InputError, match="tag"):
        files.has_label(UID, tag)
