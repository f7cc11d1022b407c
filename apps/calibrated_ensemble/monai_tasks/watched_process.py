"""Runs a module as `python -m` does, in a process that ends when the server that started it is gone.

It is run as a file and imports nothing of the product, so that the watch begins before the imports of what it
runs, which take many seconds on a busy machine: `python watched_process.py SERVER_PROCESS_ID -m MODULE ARGUMENTS`.
"""

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

GONE = 3
"""Exit status of a process whose server is gone."""

_WATCH_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """End this process as soon as its parent is gone, however that ended.

    Args:
        parent: id of the process that started this one.
    """
    if sys.platform == "linux":
        # An import may keep the watch from running for seconds; the kernel needs no turn.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_exit_without, args=(parent,), name="watch-server", daemon=True).start()


def _exit_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    # Nobody is left to read a last line, and writing one could wait for ever.
    os._exit(GONE)


def _run() -> None:
    end_with_parent(int(sys.argv[1]))
    module = sys.argv[3]
    # The working folder, as with `python -m`, instead of the folder of this file.
    sys.path[0] = os.getcwd()  # noqa: PTH109 (pathlib need not be loaded)
    sys.argv = sys.argv[3:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run()
