"""A line in the log is one record: what somebody sends cannot make a second one that looks like the server's."""

import logging
import textwrap
import traceback
from typing import Any

from apps.calibrated_ensemble.plain_text import one_line

_INDENT = "    "


class OneLineRecord(logging.LogRecord):
    """A record whose message is one line, and whose traceback stands indented below it."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0] is not None:
            text = "".join(traceback.format_exception(*self.exc_info))
            # Messages of exceptions hold what was sent; every line of a traceback is made harmless by itself.
            self.exc_text = textwrap.indent("\n".join(map(one_line, text.splitlines())), _INDENT)

    def getMessage(self) -> str:  # noqa: N802
        """Give the message, with its arguments, as one line."""
        return one_line(super().getMessage())


def write_log_in_lines() -> None:
    """Have every logger of this process, MONAI Label's and uvicorn's too, write one line a record."""
    logging.setLogRecordFactory(OneLineRecord)
