"""How a command ends: its exit status, and one line for whoever ran it."""

import sys
from collections.abc import Callable

from typer.exceptions import TyperException

from apps.calibrated_ensemble.terminal.termination import STATUS as TERMINATED
from apps.calibrated_ensemble.terminal.termination import TerminatedError, stopping_when_terminated
from lib.errors import (
    BusyError,
    DamagedGenerationError,
    InputError,
    NotTrainedError,
    ProductError,
    StorageError,
    UnreachableError,
)

DONE, FAILURE, WRONG_INPUT, HELD_BACK, BUSY, OUT_OF_TIME, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
"""A new generation that is held back, and a night whose time was over, are no errors but have a status of their own."""

STATUSES: dict[type[BaseException], int] = {
    InputError: WRONG_INPUT,
    NotTrainedError: WRONG_INPUT,
    BusyError: BUSY,
    StorageError: FAILURE,
    UnreachableError: FAILURE,
    DamagedGenerationError: FAILURE,
    ProductError: FAILURE,
    FloatingPointError: FAILURE,
    OSError: FAILURE,
}
"""Exit status of an error that is foreseen; that of the nearest class counts."""


def exit_status(command: Callable[[], int | None]) -> int:
    """Run a command and say how it ended.

    Args:
        command: gives its own status, or None for 0.

    Returns:
        0 done, 130 interrupted, 143 told to end (SIGTERM), else see `STATUSES`; where it raised, with one line on the
        standard error. What is neither foreseen nor a person's mistake is raised.
    """
    try:
        with stopping_when_terminated():
            status = command() or DONE
    except TyperException as error:
        # Without any argument the help has been shown and the message is empty.
        message = error.format_message()
        return _end(WRONG_INPUT, f"{message} (see --help)" if message else "")
    except (Exception, KeyboardInterrupt, TerminatedError) as error:
        stop = _stop_behind(error)
        if stop is None:
            known = status_of(error)
            if known is None:
                raise
            return _end(known, _message_of(error))
        status = TERMINATED if isinstance(stop, TerminatedError) else INTERRUPTED
    # Typer turns Ctrl-C into this status by itself.
    if status in (INTERRUPTED, TERMINATED):
        return _end(status, "stopped; what is finished is kept, run the same command again to go on")
    return status


def status_of(error: BaseException) -> int | None:
    """Exit status of an error, see `STATUSES`; None when it is not foreseen."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)


def _message_of(error: BaseException) -> str:
    return f"{error} (`calibrated-ensemble train`)" if isinstance(error, NotTrainedError) else str(error)


def _stop_behind(error: BaseException) -> KeyboardInterrupt | TerminatedError | None:
    """Give Ctrl-C or SIGTERM where this is it or only followed on it, as when a writer is stopped inside a file."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt | TerminatedError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _end(status: int, message: object) -> int:
    line = " ".join(str(message).split())
    if line:
        print(f"calibrated-ensemble: {line}", file=sys.stderr)
    return status
