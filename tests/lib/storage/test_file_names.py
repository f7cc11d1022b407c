import os
import unicodedata
from pathlib import Path

import pytest

from lib.storage.file_names import composed, existing, is_text, shown

NFC, NFD = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))


@pytest.mark.parametrize("name", ["a", "Läsion groß", "肝臓", "50% ?x=1 [b]", "no\u00a0break", NFD, "😀", ""])
def test_whatever_people_write_is_text(name: str) -> None:
    assert is_text(name)
    assert shown(name) == name


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (os.fsdecode(b"M\xfcller"), "M\\xfcller"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u2028b", "a\\u2028b"),
    ],
)
def test_what_is_no_text_is_shown_by_its_numbers(name: str, line: str) -> None:
    assert not is_text(name)
    assert shown(Path("/data") / name) == f"/data/{line}"


def test_spellings_are_one_and_a_file_is_found_by_any(tmp_path: Path) -> None:
    assert composed(NFD) == composed(NFC) == NFC != NFD
    (tmp_path / NFD).touch()
    assert existing(tmp_path / NFC) == existing(tmp_path / NFD) == tmp_path / NFD
    assert existing(tmp_path / "other") == tmp_path / "other"
    assert existing(tmp_path / "öther") == tmp_path / "öther"
