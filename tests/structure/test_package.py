import tomllib

from tests.structure.source_tree import APP, MADE_BY_SERVER, ROOT, shown

SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def test_the_package_takes_every_file_of_the_app_along() -> None:
    (patterns,) = SETUPTOOLS["package-data"].values()
    packed = {path for pattern in patterns for path in APP.glob(pattern) if path.is_file()}
    files = {
        path
        for path in APP.rglob("*")
        if path.is_file()
        and path.suffix != ".py"
        and "__pycache__" not in path.parts
        and path.relative_to(APP).parts[0] not in MADE_BY_SERVER
    }
    assert {shown(path) for path in files ^ packed} == set()
