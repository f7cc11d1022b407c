import subprocess
import sys
from pathlib import Path

from tests.structure.source_tree import PRODUCT, ROOT, imported_names, python_files, shown


def test_no_module_imports_a_private_name_of_another() -> None:
    private = [
        f"{shown(module)}: {source}.{name}".rstrip(".")
        for module in python_files(*PRODUCT)
        for source, name in imported_names(module)
        if source.split(".")[0] in PRODUCT and any(part.startswith("_") for part in [*source.split("."), name])
    ]
    assert private == [], "make public what another module needs"


def test_modules_import_by_full_names() -> None:
    # main.py is loaded by MONAI Label without a package, and what it loads anew is found by full names alone.
    relative = [
        shown(path) for path in python_files(*PRODUCT) for source, _ in imported_names(path) if source[0] == "."
    ]
    assert relative == []


def test_an_import_against_the_order_of_rooms_is_found(tmp_path: Path) -> None:
    # The contracts themselves are run by `make test`; this shows that they bite.
    for floor in PRODUCT:
        (tmp_path / floor).mkdir()
        (tmp_path / floor / "__init__.py").touch()
    contracts = (ROOT / ".importlinter").read_text(encoding="utf-8")
    floors = contracts[: contracts.index("; The steps of the method")]
    (tmp_path / ".importlinter").write_text(floors)
    assert _lint(tmp_path).returncode == 0
    (tmp_path / "lib" / "climber.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import scoring\n"
    )
    broken = _lint(tmp_path)
    assert broken.returncode == 1
    assert "lib.climber -> scoring" in broken.stdout


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
