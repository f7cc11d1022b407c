"""How a command ends: its exit status, and one line for whoever ran it."""

import sys
from collections.abc import Callable

from typer.exceptions import TyperException

from lib.errors import DamagedGenerationError, InputError, UnreachableError

DONE, FAILURE, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


def exit_status(command: Callable[[], int | None]) -> int:
    """Run a command and say how it ended.

    Args:
        command: gives its own status, or None for 0.

    Returns:
        0 done, 2 wrong input, 130 interrupted, 1 failure; where it raised, with one line on the
        standard error. What is neither foreseen nor a person's mistake is raised.
    """
    try:
        status = command() or DONE
    except TyperException as error:
        # Without any argument the help has been shown and the message is empty.
        message = error.format_message()
        return _end(WRONG_INPUT, f"{message} (see --help)" if message else "")
    except (Exception, KeyboardInterrupt) as error:
        if _was_interrupted(error):
            status = INTERRUPTED
        elif isinstance(error, InputError):
            return _end(WRONG_INPUT, error)
        elif isinstance(error, DamagedGenerationError | UnreachableError | FloatingPointError | OSError):
            return _end(FAILURE, error)
        else:
            raise
    # Typer turns Ctrl-C into this status by itself.
    if status == INTERRUPTED:
        return _end(INTERRUPTED, "stopped; what is finished is kept, run the same command again to go on")
    return status


def _was_interrupted(error: BaseException) -> bool:
    """Whether this is Ctrl-C, or only followed on it, as when a writer is stopped in the middle of a file."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _end(status: int, message: object) -> int:
    line = " ".join(str(message).split())
    if line:
        print(f"calibrated-ensemble: {line}", file=sys.stderr)
    return status
