"""Who an annotator is to the worklist, the history and the PACS."""

from collections.abc import Mapping
from typing import Any

from apps.calibrated_ensemble.plain_text import is_one_line, one_line
from lib.errors import InputError

LONGEST_NAME = 255


def annotator_of(sent: Mapping[str, Any]) -> str:
    """Name of who sent something: what the client calls itself, else the user that the server knows; "" without either.

    Whatever was sent, it is one line that can be stored.

    Args:
        sent: a request, or what came beside a label.
    """
    return one_line(str(sent.get("client_id") or sent.get("user") or ""))[:LONGEST_NAME]


def check_annotator(sent: Mapping[str, Any]) -> None:
    """Check that what a client calls itself, if it does, is a name.

    Args:
        sent: a request, or what came beside a label.

    Raises:
        InputError: `client_id` is no text of one line, or too long.
    """
    name = sent.get("client_id")
    if name is not None and not (isinstance(name, str) and len(name) <= LONGEST_NAME and is_one_line(name)):
        shown = one_line(repr(name)[:50])
        raise InputError(f"client_id: is {shown}; give a name of one line and at most {LONGEST_NAME} characters")
