import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"

# Answers like the Python of a version: whether it fits, whether it has what `venv` needs, and who it is.
PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) exit {unfit} ;;
    *ensurepip*) exit {bare} ;;
    *sys.executable*) echo "$0" ;;
    --version) echo "Python {version}" ;;
    *) echo "{version}: $*" >> "{log}" ;;
esac
"""


class Machine:
    """A machine of made-up Pythons; what is done with them is written down."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir()
        self.log.touch()
        # A copy, since uv.sh keeps what it gets beside itself.
        self.script = shutil.copytree(TOOLS, folder / "tools") / "make_venv.sh"
        for command in ("sh", "dirname", "rm"):
            found = shutil.which(command)
            assert found
            (self.bin / command).symlink_to(found)

    def python(self, name: str, version: str, *, bare: bool = False) -> Path:
        unfit = int(version not in ("3.11", "3.12"))
        return self._program(name, PYTHON.format(version=version, unfit=unfit, bare=int(bare), log=self.log))

    def uv(self, *, status: int = 0) -> None:
        self._program("uv", f'#!/bin/sh\necho "uv: $*" >> "{self.log}"\nexit {status}\n')

    def make_venv(self, python: str = "") -> subprocess.CompletedProcess[str]:
        command = ["sh", str(self.script), "made", python]
        environment = {"PATH": str(self.bin)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def _program(self, name: str, text: str) -> Path:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)
        return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_python_that_fits_makes_the_environment(machine: Machine) -> None:
    machine.python("python3", "3.13")
    machine.python("python3.12", "3.12")
    result = machine.make_venv()
    assert (result.returncode, result.stderr) == (0, "")
    assert machine.log.read_text() == "3.12: -m venv made\n"


def test_a_command_that_does_not_run_is_passed_over(machine: Machine) -> None:
    # pyenv puts a python3.11 on the path that only says which versions have one.
    machine.python("python3.11", "none")
    machine.python("python3", "3.11")
    assert machine.make_venv().returncode == 0
    assert machine.log.read_text() == "3.11: -m venv made\n"


def test_the_python_asked_for_goes_first(machine: Machine) -> None:
    machine.python("python3.11", "3.11")
    asked = machine.python("elsewhere", "3.12")
    assert machine.make_venv(str(asked)).returncode == 0
    assert machine.log.read_text() == "3.12: -m venv made\n"


def test_a_python_asked_for_that_does_not_fit_is_refused_in_one_line(machine: Machine) -> None:
    machine.python("python3.11", "3.11")
    asked = machine.python("elsewhere", "3.13")
    result = machine.make_venv(str(asked))
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"make: needs Python 3.11 or 3.12, PYTHON={asked} is Python 3.13; leave it out, and one is found or brought"
    ]
    assert machine.log.read_text() == ""


def test_where_none_fits_uv_brings_one_and_make_says_so(machine: Machine) -> None:
    machine.python("python3", "3.10")
    machine.uv()
    result = machine.make_venv()
    assert (result.returncode, result.stderr) == (0, "make: found no Python 3.11 or 3.12; uv brings Python 3.11\n")
    assert machine.log.read_text() == "uv: venv --quiet --seed --python 3.11 made\n"


def test_a_python_that_cannot_make_environments_is_helped_by_uv(machine: Machine) -> None:
    python = machine.python("python3.11", "3.11", bare=True)
    machine.uv()
    result = machine.make_venv()
    assert result.returncode == 0
    assert "python3.11 has no ensurepip" in result.stderr
    assert machine.log.read_text() == f"uv: venv --quiet --seed --python {python} made\n"


def test_where_uv_fails_the_way_out_is_named(machine: Machine) -> None:
    machine.uv(status=1)
    result = machine.make_venv()
    assert result.returncode == 2
    assert "install Python 3.11 or 3.12 with venv, or give PYTHON=" in result.stderr.splitlines()[-1]


def test_without_uv_and_without_a_python_that_could_get_it_both_are_named(machine: Machine) -> None:
    result = machine.make_venv()
    assert result.returncode == 2
    assert "uv is not on the path, and there is no Python 3" in result.stderr
