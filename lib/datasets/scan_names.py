"""Names that a scan may be given: of one file in one folder, whatever is made of them later."""

import re

from lib.errors import InputError
from lib.storage.file_names import composed

# Labels, refused labels and predictions are named after the scan, and a file name has 255 bytes at most.
_LONGEST = 200
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def check_scan_name(name: str) -> None:
    """Check that a name which somebody gives to a new scan is a name and no path.

    Raises:
        InputError: it is empty, hidden, too long, starts or ends with a space, or holds `/`, a backslash, a
            control character or half a character.
    """
    is_name = _NAME.fullmatch(name) and name == name.strip() and not name.startswith(".")
    if not is_name or len(name.encode()) > _LONGEST:
        shown = repr(name[:50])
        raise InputError(
            f"name of a scan: is {shown}; give at most {_LONGEST} bytes without /, \\ and control characters, "
            "that start with no dot, such as patient_12"
        )


def is_same_name(name: str, other: str) -> bool:
    """Whether two names read the same: file systems differ in how they store letters with accents."""
    return composed(name) == composed(other)
