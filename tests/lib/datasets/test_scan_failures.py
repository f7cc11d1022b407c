import errno

import pytest

from lib.datasets.scan_failures import scan_failure
from lib.errors import BusyError, DamagedGenerationError, InputError, NotTrainedError, StorageError, UnreachableError


def test_a_scan_is_named_once() -> None:
    assert scan_failure(InputError("a.nii: has no sform"), "a.nii") == "a.nii: has no sform"
    assert scan_failure(InputError("has no sform"), "a.nii") == "a.nii: has no sform"
    assert scan_failure(BusyError("a.nii: changed while it was read"), "a.nii") == "a.nii: changed while it was read"


@pytest.mark.parametrize(
    "error", [ValueError("first\nsecond"), RuntimeError("x" * 5000), MemoryError(), OSError(errno.EIO, "Input/output")]
)
def test_whatever_is_raised_becomes_one_line_that_names_the_scan(error: Exception) -> None:
    line = scan_failure(error, "a.nii")
    assert line.startswith("a.nii: ")
    assert "\n" not in line
    assert len(line) < 500


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        StorageError("disk"),
        UnreachableError("PACS"),
        DamagedGenerationError("member"),
        NotTrainedError("none"),
    ],
)
def test_what_the_next_scan_would_meet_as_well_ends_the_run(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        scan_failure(error, "a.nii")
    assert caught.value is error
