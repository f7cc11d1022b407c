"""Text of somebody else on a line of ours."""

from pathlib import Path

import pytest

from apps.calibrated_ensemble.plain_text import is_one_line, one_line, without_folders


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Müller, 脳 [b]", "Müller, 脳 [b]"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("a\u2028b\x85c\x1b[31m", "a\\u2028b\\x85c\\x1b[31m"),
        ("\ud800\x00", "\\ud800\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_a_text_becomes_one_line_that_reads_as_it_is(text: str, shown: str) -> None:
    assert one_line(text) == shown
    assert one_line(text).encode()
    assert len(one_line(text).splitlines()) == 1


@pytest.mark.parametrize("text", ["", "Müller", "\u200fשם", "a b.c #1 100% ?"])
def test_names_of_any_language_are_one_line(text: str) -> None:
    assert is_one_line(text)


@pytest.mark.parametrize("text", ["a\nb", "\x00", "\ud800", "\x7f", "a\u2029"])
def test_ends_of_lines_and_half_characters_are_none(text: str) -> None:
    assert not is_one_line(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/data/studies/a b.nii.gz: is truncated", "a b.nii.gz: is truncated"),
        ("copy '/data/studies/.work/x' to /data/studies", "copy 'x' to studies"),
        ("/data/studies2/a: is another folder", "/data/studies2/a: is another folder"),
        ("/mnt/data/studies/a: is another folder", "/mnt/data/studies/a: is another folder"),
        ("ask for one that `/datastore/` lists", "ask for one that `/datastore/` lists"),
    ],
)
def test_files_of_the_server_are_named_without_its_folders(text: str, shown: str) -> None:
    folders = [Path("/"), Path("/data/studies"), Path("/data/studies/.work")]
    assert without_folders(text, folders) == shown
