"""Training, scoring and batch inference run in processes of their own, which end with the server.

MONAI Label starts them and leaves them behind when the server is killed or told to end, and on
Ctrl-C it waits for them without end. Both are settled here: a background process watches its
server, and a server that ends by itself stops its background processes. What they had finished
is kept.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from monailabel.interfaces.exception import MONAILabelException
from monailabel.utils.async_tasks.task import AsyncTask
from monailabel.utils.async_tasks.utils import background_executors, processes

from apps.calibrated_ensemble.http_errors import message_of
from apps.calibrated_ensemble.terminal.exit_status import FAILURE, status_of
from lib.errors import ProductError

SERVER_PROCESS = "CALIBRATED_ENSEMBLE_SERVER_PROCESS"
"""Environment variable that tells a background process which process is its server."""

_METHODS = ("train", "scoring", "batch_infer")
_WATCH_SECONDS = 1.0

logger = logging.getLogger(__name__)


def runs_in_background() -> bool:
    """Whether this process was started by a server of this app to do one task."""
    return os.environ.get(SERVER_PROCESS) not in (None, str(os.getpid()))


def mark_as_server() -> asyncio.Task[None]:
    """Make this process the server: background processes see it as theirs, and it stops them when it ends.

    Returns:
        A task of the server's event loop, to be kept; it stops them when the loop ends.

    Raises:
        RuntimeError: there is no running event loop, so this is no server.
    """
    os.environ[SERVER_PROCESS] = str(os.getpid())
    return asyncio.get_running_loop().create_task(_stop_at_the_end())


def end_with_server() -> None:
    """End this background process soon after its server is gone, however the server ended."""
    server = int(os.environ[SERVER_PROCESS])
    threading.Thread(target=_exit_without_server, args=(server,), name="watch-server", daemon=True).start()


@contextmanager
def one_line_failure() -> Iterator[None]:
    """End a background process with one line in its log, which `GET /train/` and the like show.

    Raises:
        SystemExit: after an error that a person can act on, with the status that a command would have; others pass.
    """
    try:
        yield
    except (ProductError, MONAILabelException) as error:
        logger.error("%s", message_of(error))
        raise SystemExit(status_of(error) or FAILURE) from error


async def _stop_at_the_end() -> None:
    # Exit handlers run too late: the interpreter first waits for the threads that wait for the processes.
    try:
        await asyncio.Event().wait()
    finally:
        for method in _METHODS:
            executor = background_executors.get(method)
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)
            while processes(method):
                AsyncTask.stop(method)


def _exit_without_server(server: int) -> None:
    while os.getppid() == server:
        time.sleep(_WATCH_SECONDS)
    logger.error("the server (process %d) is gone; this process ends, and what it finished is kept", server)
    os._exit(3)
