"""Who an annotator is to the worklist, the history and the PACS."""

from collections.abc import Mapping
from typing import Any


def annotator_of(sent: Mapping[str, Any]) -> str:
    """Name of who sent something: what the client calls itself, else the user that the server knows; "" without either.

    Args:
        sent: a request, or what came beside a label.
    """
    return str(sent.get("client_id") or sent.get("user") or "")
