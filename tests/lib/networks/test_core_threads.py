"""Threads of one core, in a process of its own: the number of cores is one for all of it."""

import subprocess
import sys

_PROGRAM = """
import threading, torch
from lib.networks.core_threads import single_core_threads

torch.set_num_threads(3)
found = []
for _ in range(2):
    threads = single_core_threads()
    inside = set(threads.map(lambda _: torch.get_num_threads(), range(50)))
    new = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    new.start()
    new.join()
    found += [sorted(inside), torch.get_num_threads(), threads._max_workers]
print(found)
"""


def test_threads_compute_on_one_core_and_all_others_as_before() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([3, [1], 3, 3] * 2)
