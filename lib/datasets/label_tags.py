"""Tags of labels: which of several labels of a scan one means, and the folder that it lies in."""

import re
from pathlib import Path

from lib.errors import InputError

FINAL = "final"
"""Tag of the labels that annotators submitted."""

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def check_tag(tag: str) -> None:
    """Check that a tag is a name of a folder and nothing else.

    Raises:
        InputError: it is not.
    """
    if not _TAG.fullmatch(tag):
        raise InputError(f"tag {tag!r}: give letters, digits, - and _ only, such as {FINAL}")


def labels_folder(studies: Path, tag: str = FINAL) -> Path:
    """Folder of the labels of a tag, where MONAI Label keeps them inside a studies folder."""
    return studies / "labels" / tag
