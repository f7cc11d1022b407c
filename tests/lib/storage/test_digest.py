import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.storage.digest import digest_file, digest_settings, file_stamp

_KEYS = st.text(max_size=4)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | _KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)


def test_a_file_is_digested_by_its_bytes(tmp_path: Path) -> None:
    """SHA-256 of "abc", from FIPS 180-4."""
    (tmp_path / "file").write_bytes(b"abc")
    assert digest_file(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(_VALUES, _VALUES)
def test_digests_are_equal_when_the_json_is_and_only_then(first: object, second: object) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (digest_settings(first) == digest_settings(second)) is same


@given(st.dictionaries(_KEYS, _VALUES, max_size=5), st.randoms())
def test_the_order_of_keys_does_not_matter(settings: dict[str, object], random: object) -> None:
    shuffled = list(settings.items())
    random.shuffle(shuffled)
    assert digest_settings(dict(shuffled)) == digest_settings(settings)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"w": float("nan")}]])
def test_numbers_without_an_equal_have_no_digest(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_settings(value)


def test_a_stamp_changes_with_whatever_is_written_whatever_times_it_bears(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    before, status = file_stamp(file), file.stat()
    assert file_stamp(file) == before
    (tmp_path / "other").write_bytes(b"xyz")
    (tmp_path / "other").replace(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_stamp(file) != before


def test_the_stamp_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    stamps = [file_stamp(tmp_path / "series")]
    for content in (b"abc", b"abd"):
        (tmp_path / "series" / "1.dcm").write_bytes(content)
        stamps.append(file_stamp(tmp_path / "series"))
    (tmp_path / "series" / "1.dcm").rename(tmp_path / "series" / "2.dcm")
    stamps += [file_stamp(tmp_path / "series"), file_stamp(tmp_path / "nothing")]
    assert len(set(stamps)) == 5
