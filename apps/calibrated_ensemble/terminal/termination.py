"""Being told to end (SIGTERM, as from a service manager or a scheduler) is a stop like Ctrl-C, and is said."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 128 + signal.SIGTERM
"""Exit status of a process that was told to end."""


class TerminatedError(BaseException):
    """The process was told to end; like `KeyboardInterrupt`, which Typer makes its own, this is no error to handle."""


def terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    """Handle SIGTERM.

    Raises:
        TerminatedError: always.
    """
    raise TerminatedError


@contextmanager
def stopping_when_terminated() -> Iterator[None]:
    """Raise `TerminatedError` in the block when this process is told to end; in its main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
