"""The Python files of the product, and what they import."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = ROOT / "apps" / "calibrated_ensemble"
PRODUCT = ("lib", "scoring", "apps", "benchmarks")
# MONAI Label makes these in the app's folder while it serves.
MADE_BY_SERVER = {"lib", "model", "logs", "bin"}


def python_files(*tops: str) -> Iterator[Path]:
    """Python files of folders of the repository, without what a server made in the app's."""
    for top in tops:
        for path in sorted((ROOT / top).rglob("*.py")):
            if not (path.is_relative_to(APP) and path.relative_to(APP).parts[0] in MADE_BY_SERVER):
                yield path


def python_folders(*tops: str) -> list[Path]:
    """Folders that hold Python files."""
    return sorted({path.parent for path in python_files(*tops)})


def shown(path: Path) -> str:
    """Path from the root of the repository, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


def imported_names(path: Path) -> Iterator[tuple[str, str]]:
    """Pairs of module and name that a file imports, wherever in it; the name is "" for a module as a whole."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (("." * node.level + (node.module or ""), alias.name) for alias in node.names)
