import ast
import importlib.util
from pathlib import Path

import pytest

from tests.structure.source_tree import APP, MADE_BY_SERVER, PRODUCT, ROOT, python_files, python_folders, shown
from tests.structure.tested_elsewhere import NOT_TESTED, TESTED_ELSEWHERE

MOST_MODULES = 12


def test_a_folder_holds_at_most_twelve_modules() -> None:
    counts = {
        shown(folder): sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        for folder in python_folders(*PRODUCT, "tests")
    }
    assert {folder: count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_each_folder_says_what_belongs_there() -> None:
    faces = [folder / "__init__.py" for folder in python_folders(*PRODUCT)]
    assert [shown(face) for face in faces if not face.is_file()] == []
    assert [shown(face) for face in faces if not ast.get_docstring(ast.parse(face.read_text(encoding="utf-8")))] == []


def test_nothing_in_the_apps_folder_bears_the_name_of_an_installed_module() -> None:
    # MONAI Label puts the app's folder on sys.path while it loads main.py: `queue.py` there would be everybody's queue.
    names = {path.stem for path in APP.glob("*.py")} | {path.name for path in APP.iterdir() if path.is_dir()}
    assert {name for name in names - MADE_BY_SERVER - {"__init__", "__pycache__"} if _importable(name)} == set()


def _importable(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    if spec is None:
        return False
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or [])
    # A folder of the checkout, such as the one that `make demo` writes, is in nobody's way.
    return not all(Path(place).is_relative_to(ROOT) and ".venv" not in Path(place).parts for place in places)


def _test_of(module: Path) -> str:
    parts = [part for part in module.relative_to(ROOT).parts if part != "calibrated_ensemble"]
    return Path("tests", *parts[:-1], f"test_{parts[-1]}").as_posix()


def _without_test() -> dict[str, str]:
    """Modules without a test of their name, and the name that is missing."""
    modules = [path for path in python_files(*PRODUCT) if path.name != "__init__.py"]
    return {shown(module): _test_of(module) for module in modules if not (ROOT / _test_of(module)).is_file()}


def test_each_module_has_a_test_of_its_name_or_is_listed() -> None:
    listed = TESTED_ELSEWHERE | NOT_TESTED
    unlisted = {module: test for module, test in _without_test().items() if module not in listed}
    assert unlisted == {}, "give these modules their tests, or name those in tests/structure/tested_elsewhere.py"


def test_the_list_of_modules_without_a_test_of_their_name_is_up_to_date() -> None:
    assert set(TESTED_ELSEWHERE | NOT_TESTED) - set(_without_test()) == set(), (
        "gone, or with a test of its name: strike it out"
    )
    assert {test for test in TESTED_ELSEWHERE.values() if not (ROOT / test).exists()} == set()


@pytest.mark.parametrize("top", ["lib", "scoring", "benchmarks"])
def test_folders_of_tests_mirror_those_of_the_product(top: str) -> None:
    folders = [folder.relative_to(ROOT / "tests") for folder in python_folders(f"tests/{top}")]
    assert [folder.as_posix() for folder in folders if not (ROOT / folder).is_dir()] == []


def test_folders_of_the_apps_tests_mirror_those_of_the_app() -> None:
    # Whole loops through server, PACS and browser, and the servers that they start, are of no one room.
    of_no_room = {"loops", "servers"}
    folders = [folder.relative_to(ROOT / "tests" / "apps") for folder in python_folders("tests/apps")]
    assert {folder.as_posix() for folder in folders if not (APP / folder).is_dir()} <= of_no_room
