"""Background processes end with the server that started them, from their first moment on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from apps.calibrated_ensemble.monai_tasks import watched_process
from tests.apps.servers.running_server import wait_for

SERVER = """
import os, subprocess, sys, time
command = [sys.executable, sys.argv[1], str(os.getpid()), "-m", sys.argv[2], "an argument"]
child = subprocess.Popen(command, cwd=sys.argv[3], env=dict(os.environ, STARTED=sys.argv[4]))
print(child.pid, flush=True)
time.sleep(120)
"""

SLOW_IMPORT = """
import os, sys, time
from pathlib import Path
import beside_it
Path(os.environ["STARTED"]).write_text(f"{__name__} {sys.argv[1:]}")
time.sleep(120)  # an import that takes its time: no line of the app has run yet
"""


@pytest.fixture
def working_folder(tmp_path: Path) -> Path:
    (tmp_path / "slow_import.py").write_text(SLOW_IMPORT)
    (tmp_path / "beside_it.py").write_text("")
    return tmp_path


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_a_background_process_ends_with_its_server_while_it_still_imports(
    working_folder: Path, stop: signal.Signals
) -> None:
    started = working_folder / "started"
    command = [sys.executable, "-c", SERVER, str(watched_process.__file__), "slow_import", str(working_folder)]
    server = subprocess.Popen([*command, str(started)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        child = psutil.Process(int(server.stdout.readline()))
        wait_for(lambda: started.exists() and bool(started.read_text()), seconds=60, what="the import to begin")
        assert started.read_text() == "__main__ ['an argument']"
        server.send_signal(stop)
        server.wait(timeout=30)
        began = time.monotonic()
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running()
        assert time.monotonic() - began < 5
    finally:
        server.kill()


def test_the_watch_alone_ends_it_where_the_kernel_does_not(working_folder: Path) -> None:
    script = (
        "import os, sys, time; sys.path.insert(0, os.path.dirname(sys.argv[1])); sys.platform = 'other'; "
        "import watched_process; watched_process.end_with_parent(os.getppid()); "
        "print('up', flush=True); time.sleep(120)"
    )
    parent_script = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', *sys.argv[1:]]))"
    command = [sys.executable, "-c", parent_script, script, str(watched_process.__file__)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=working_folder, env=dict(os.environ))
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "up\n"
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
        parent.wait(timeout=30)
        _, alive = psutil.wait_procs([child], timeout=10)
        assert not alive
    finally:
        parent.kill()
