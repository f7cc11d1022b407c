"""Threads that run PyTorch on one core each."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch

# Every one of them holds the activations of a window.
_MOST = 8


def single_core_threads() -> ThreadPoolExecutor:
    """Start as many threads as PyTorch uses cores here, at most eight.

    PyTorch takes the number of cores that a thread sets for that of all threads which start to compute
    later. So all threads are started here, and the number is set back.
    """
    cores = torch.get_num_threads()
    count = min(cores, _MOST)
    started = Barrier(count + 1)

    def start() -> None:
        torch.set_num_threads(1)
        # Asked for, the number becomes that of this thread for good.
        torch.get_num_threads()
        started.wait()

    threads = ThreadPoolExecutor(count)
    for _ in range(count):
        threads.submit(start)
    started.wait()
    torch.set_num_threads(cores)
    return threads
