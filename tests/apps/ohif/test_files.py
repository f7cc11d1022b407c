"""Where OHIF is kept, and how an installation is told from a damaged one."""

import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.calibrated_ensemble.ohif.files import (
    MANIFEST,
    ViewerFiles,
    default_viewer_folder,
    find_viewer,
    store_file,
    write_manifest,
)

CONTENTS = {"index.html": b"<p>" * 1000, "assets/tiny.png": b"\x89PNG", "empty.css": b""}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An installation with other files than OHIF's."""
    folder = tmp_path / "viewer"
    write_manifest(folder, {name: store_file(folder, name, content) for name, content in CONTENTS.items()})
    return folder


def found(folder: Path) -> ViewerFiles:
    viewer = find_viewer(folder)
    assert viewer is not None
    return viewer


def test_an_installation_is_found_with_every_byte(folder: Path) -> None:
    viewer = found(folder)
    assert {name: viewer.read(name) for name in viewer.files} == CONTENTS


def test_only_what_gets_smaller_is_stored_compressed(folder: Path) -> None:
    viewer = found(folder)
    assert {name: file.compressed for name, file in viewer.files.items()} == {
        "index.html": True,
        "assets/tiny.png": False,
        "empty.css": False,
    }
    assert gzip.decompress(viewer.path("index.html").read_bytes()) == CONTENTS["index.html"]
    assert sorted(path.name for path in folder.rglob("*.*")) == [
        "empty.css",
        "index.html.gz",
        MANIFEST,
        "tiny.png",
    ]


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_content_comes_back_and_is_stored_in_the_same_bytes_again(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    stored = store_file(folder, "some/file.js", content)
    assert ViewerFiles(folder, {"some/file.js": stored}).read("some/file.js") == content
    assert store_file(folder / "again", "some/file.js", content) == stored


def test_nothing_is_found_where_nothing_was_installed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert find_viewer(tmp_path / "nowhere") is None
    assert find_viewer(tmp_path) is None
    assert not caplog.records


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _change_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_cut, _change_a_bit, Path.unlink])
@pytest.mark.parametrize("name", ["files/index.html.gz", "files/assets/tiny.png"])
def test_a_damaged_file_is_named(
    folder: Path, name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(folder / name)
    assert find_viewer(folder) is None
    assert str(folder / name) in caplog.text
    assert "viewer install" in caplog.text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": {}}'])
def test_a_damaged_manifest_is_told(folder: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    (folder / MANIFEST).write_text(text)
    assert find_viewer(folder) is None
    assert str(folder / MANIFEST) in caplog.text


@pytest.mark.parametrize(
    ("key", "value"), [("package", "@ohif/app@3.12.0"), ("integrity", "sha512-x"), ("prefix", "/"), ("layout", 0)]
)
def test_an_installation_made_in_another_way_is_not_used(
    folder: Path, key: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {key: value}))
    with caplog.at_level(logging.WARNING):
        assert find_viewer(folder) is None
    assert str(folder) in caplog.text


@pytest.mark.parametrize(
    ("cache", "expected"), [("/somewhere", "/somewhere"), ("relative", "HOME/.cache"), (None, "HOME/.cache")]
)
def test_the_default_folder_follows_the_users_cache(
    cache: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if cache is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
    root = Path(expected.replace("HOME", str(tmp_path)))
    assert default_viewer_folder() == root / "calibrated_ensemble" / "ohif-3.13.2"
