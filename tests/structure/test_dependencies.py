import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.structure.source_tree import PRODUCT, ROOT, imported_names, python_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

NOT_IMPORTED = {
    "dcmqi": "brings itkimage2segimage, which MONAI Label downloads at its start unless it is on PATH",
    "pynetdicom": "MONAI Label's; declared for its cap",
    "torchvision": "sam2's, which MONAI Label requires; declared since it must fit torch",
    "itk": "imported by tests, but its files belong to itk-core and others",
    "import-linter": "a command of the gate",
    "mypy": "a command of the gate",
    "ruff": "a command of the gate",
    "pytest-xdist": "pytest's option -n",
    "types-pyyaml": "read by mypy",
    "types-requests": "read by mypy",
}
# What each folder may use: the core alone, or what it is installed with as well. lib.dicom is an extra of its own.
EXTRAS = {"lib": [], "lib/dicom": ["dicom"], "scoring": ["worklist"], "apps": ["app"], "benchmarks": ["dev"]}


def _requirements(extra: str | None = None) -> dict[str, Requirement]:
    """Direct requirements of the core or of an extra and those it takes in, by name."""
    found = {}
    for line in PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            for taken_in in requirement.extras:
                found |= _requirements(taken_in)
        else:
            found[canonicalize_name(requirement.name)] = requirement
    return found


def _everything() -> dict[str, Requirement]:
    return _requirements() | _requirements("dev")


@cache
def _packages() -> Mapping[str, list[str]]:
    return packages_distributions()


def _imported(*tops: str) -> dict[str, Path]:
    """Installed packages that files import, by name, each with one of these files."""
    packages = _packages()
    found = {}
    for path in python_files(*tops):
        for module, _ in imported_names(path):
            for package in packages.get(module.split(".")[0], []):
                found[canonicalize_name(package)] = path
    return found


def test_each_declared_package_is_imported_or_has_its_reason() -> None:
    imported = set(_imported(*PRODUCT, "tests"))
    assert set(_everything()) - imported - set(NOT_IMPORTED) == set(), "strike out, or give the reason here"
    assert set(NOT_IMPORTED) - set(_everything()) == set()
    assert set(NOT_IMPORTED) & imported == set()


@pytest.mark.parametrize("top", EXTRAS)
def test_each_imported_package_is_declared_where_it_is_needed(top: str) -> None:
    declared = set(_requirements()).union(*(_requirements(extra) for extra in EXTRAS[top]))
    inner = [folder for folder in EXTRAS if folder.startswith(f"{top}/")]
    used = {
        package: path
        for package, path in _imported(top).items()
        if not any(path.is_relative_to(ROOT / folder) for folder in inner)
    }
    assert {name: path for name, path in used.items() if name not in declared | {PROJECT["name"]}} == {}


def _locked() -> dict[str, list[str]]:
    pinned: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([\w.-]+)(?:\[[^\]]*\])?==([^\s;]+)", line):
            pinned.setdefault(canonicalize_name(found[1]), []).append(found[2])
    return pinned


def test_the_lock_holds_a_fitting_version_of_each_declared_package() -> None:
    locked = _locked()
    wrong = {
        name: locked.get(name, [])
        for name, requirement in _everything().items()
        if not locked.get(name) or not all(requirement.specifier.contains(version) for version in locked[name])
    }
    assert wrong == {}, "make it anew with `make lock`"


def test_the_lock_leaves_the_build_of_torch_to_the_machine() -> None:
    assert [name for name in _locked() if name.startswith(("nvidia", "cuda", "triton"))] == []
