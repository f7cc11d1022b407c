"""Tags of labels: which of several labels of a scan one means, and the folder that it lies in."""

import re
from pathlib import Path

from lib.errors import InputError

FINAL = "final"
"""Tag of the labels that annotators submitted."""

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_tag(tag: str) -> None:
    """Check that a tag is a name of a folder and nothing else.

    Raises:
        InputError: it is not.
    """
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        shown = repr(tag)[:50]
        raise InputError(f"tag {shown}: give letters, digits, - and _ only, 64 at most, such as {FINAL}")


def labels_folder(studies: Path, tag: str = FINAL) -> Path:
    """Folder of the labels of a tag, where MONAI Label keeps them inside a studies folder."""
    return studies / "labels" / tag
