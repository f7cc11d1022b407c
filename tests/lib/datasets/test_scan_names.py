"""Names that a scan may be given by somebody else."""

import pytest

from lib.datasets.scan_names import check_scan_name, is_same_name
from lib.errors import InputError


@pytest.mark.parametrize(
    "name", ["a", "patient 12", "Meier, Anna (2019) #1", "1.2.840.113619.2", "50% ?x=1 [b]", "脳", "x" * 200]
)
def test_a_name_is_taken(name: str) -> None:
    check_scan_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        " a",
        "a ",
        ".",
        "..",
        ".hidden",
        "../x",
        "a/b",
        "/etc/passwd",
        "a\\b",
        "a\x00",
        "a\nb",
        "a\u2028b",
        "\ud800",
        "x" * 201,
        "ü" * 101,
    ],
)
def test_a_path_or_what_is_no_name_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match="name of a scan") as caught:
        check_scan_name(name)
    assert len(str(caught.value).splitlines()) == 1


def test_composed_and_decomposed_letters_are_the_same() -> None:
    assert is_same_name("M\u00fcller", "Mu\u0308ller")
    assert not is_same_name("Muller", "M\u00fcller")
