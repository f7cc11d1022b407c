"""Names of files as programs write them: one spelling for each, and one way to show those that are no text."""

import os
import unicodedata
from pathlib import Path

# Control characters and halves of characters, as Python stands them in for bytes that are not UTF-8, and ends of lines.
_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})

UNUSABLE_NAME = "has a name that is not UTF-8 or holds control characters; rename it"


def composed(name: str) -> str:
    """The one spelling of a name that may be spelled in several ways: Unicode's NFC, where macOS writes NFD."""
    return unicodedata.normalize("NFC", name)


def is_text(name: str) -> bool:
    """Whether a name can be written into a database, a JSON file and one line of a log."""
    return all(unicodedata.category(character) not in _NO_TEXT for character in name)


def shown(path: Path | str) -> str:
    """A path for a person, in one line: bytes that are not UTF-8 and control characters by their numbers."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(one if is_text(one) else one.encode("unicode_escape").decode() for one in text)


def existing(path: Path) -> Path:
    """The file with the name of `path` in whatever spelling it is there; the path itself where none is."""
    if path.name.isascii() or path.exists():
        return path
    for spelling in ("NFC", "NFD"):
        other = path.with_name(unicodedata.normalize(spelling, path.name))
        if other.exists():
            return other
    return path
