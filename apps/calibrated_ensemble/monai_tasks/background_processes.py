"""Training, scoring and batch inference run in processes of their own, which end with the server.

MONAI Label starts them and leaves them behind when the server is killed or told to end, and on
Ctrl-C it waits for them without end. Both are settled here: a background process watches its
server (`watched_process`), and a server that is stopped, by Ctrl-C or SIGTERM, stops its background
processes. What they had finished is kept.
"""

import asyncio
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

from monailabel.interfaces.exception import MONAILabelException
from monailabel.utils.async_tasks import utils as monai_processes
from monailabel.utils.async_tasks.task import AsyncTask
from monailabel.utils.async_tasks.utils import background_executors, processes

from apps.calibrated_ensemble.http_errors import message_of
from apps.calibrated_ensemble.monai_tasks import watched_process
from apps.calibrated_ensemble.terminal.exit_status import FAILURE, status_of
from apps.calibrated_ensemble.terminal.termination import STATUS, TerminatedError, stopping_when_terminated
from lib.errors import ProductError

SERVER_PROCESS = "CALIBRATED_ENSEMBLE_SERVER_PROCESS"
"""Environment variable that tells a background process which process is its server."""

_METHODS = ("train", "scoring", "batch_infer")

logger = logging.getLogger(__name__)


def runs_in_background() -> bool:
    """Whether this process was started by a server of this app to do one task."""
    return os.environ.get(SERVER_PROCESS) not in (None, str(os.getpid()))


def mark_as_server() -> asyncio.Task[None]:
    """Make this process the server: background processes watch it, and it stops them when it is stopped.

    Returns:
        A task of the server's event loop, to be kept; it stops them at SIGTERM, or when the loop ends.

    Raises:
        RuntimeError: there is no running event loop, so this is no server.
    """
    loop = asyncio.get_running_loop()
    os.environ[SERVER_PROCESS] = str(os.getpid())
    # MONAI Label has no other place where the command of a background process could be changed.
    monai_processes.subprocess = SimpleNamespace(Popen=_start_watched, STDOUT=subprocess.STDOUT, PIPE=subprocess.PIPE)
    stopped = asyncio.Event()
    if threading.current_thread() is threading.main_thread():
        _also_at_sigterm(lambda: loop.call_soon_threadsafe(stopped.set))
    return loop.create_task(_stop_at_the_end(stopped))


@contextmanager
def one_line_failure() -> Iterator[None]:
    """End a background process with one line in its log, which `GET /train/` and the like show.

    Raises:
        SystemExit: after an error that a person can act on, with the status that a command would have; others pass.
    """
    try:
        with stopping_when_terminated():
            yield
    except TerminatedError as error:
        logger.error("stopped (SIGTERM); what is finished is kept, start it again to go on")
        raise SystemExit(STATUS) from error
    except (ProductError, MONAILabelException) as error:
        logger.error("%s", message_of(error))
        raise SystemExit(status_of(error) or FAILURE) from error


def _start_watched(command: Sequence[str], **options: Any) -> "subprocess.Popen[str]":
    """Start `python -m MODULE ...` as a process that ends with this one."""
    python, *arguments = command
    return subprocess.Popen([python, str(Path(watched_process.__file__)), str(os.getpid()), *arguments], **options)


def _also_at_sigterm(call: Callable[[], object]) -> None:
    """Do something before what is done at SIGTERM already, of which the server dies without any exit handler."""
    before = signal.getsignal(signal.SIGTERM)

    def handle(number: int, frame: FrameType | None) -> None:
        call()
        if callable(before):
            before(number, frame)
        else:
            signal.signal(number, before or signal.SIG_DFL)
            signal.raise_signal(number)

    signal.signal(signal.SIGTERM, handle)


async def _stop_at_the_end(stopped: asyncio.Event) -> None:
    # Exit handlers run too late: the interpreter first waits for the threads that wait for the processes.
    try:
        await stopped.wait()
    finally:
        for method in _METHODS:
            executor = background_executors.get(method)
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)
            while processes(method):
                AsyncTask.stop(method)
