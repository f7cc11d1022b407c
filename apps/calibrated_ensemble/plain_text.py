"""Text of somebody else, made harmless where it is shown: in a log, in an answer, in the database."""

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

# Whatever ends a line or moves the cursor, and halves of characters.
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_NO_LINE = re.compile(f"[{_CONTROL}]")
# These turn the direction of text: names of some languages hold them, but a line with them reads as another.
_MISLEADING = re.compile(f"[{_CONTROL}\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    r"""Give a text as one line that can be written in UTF-8 and reads as it is: the rest becomes `\n`, `\x00`, ..."""
    return _MISLEADING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def is_one_line(text: str) -> bool:
    """Whether a text holds no control character, no end of a line and no half character."""
    return not _NO_LINE.search(text)


def without_folders(text: str, folders: Iterable[Path]) -> str:
    """Give a text in which files of some folders are named from there on, and the folders by their last name.

    Args:
        text: may hold paths.
        folders: absolute; the root folder is left as it is.
    """
    for folder in sorted({str(folder) for folder in folders} - {"/"}, key=len, reverse=True):
        path = re.compile(rf"(?<![\w/.~-]){re.escape(folder)}(?P<inside>/|(?![\w.-]))")
        text = path.sub(partial(_inside_of, Path(folder).name), text)
    return text


def _inside_of(name: str, found: re.Match[str]) -> str:
    return "" if found["inside"] else name
