import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.storage.digest import digest_file, digest_settings

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
