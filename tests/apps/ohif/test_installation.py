"""Obtaining OHIF: the real package, and packages that are not it."""

import hashlib
import io
import json
import re
import subprocess
import tarfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from apps.calibrated_ensemble.command_line import run
from apps.calibrated_ensemble.ohif import installation as viewer_installation
from apps.calibrated_ensemble.ohif.files import PREFIX, ViewerFiles, find_viewer
from apps.calibrated_ensemble.ohif.installation import fetch_package, install_viewer, set_public_path, unpack
from lib.errors import InputError


class Named(HTMLParser):
    """What a page names in `src`, `href` and `content`."""

    def __init__(self, page: str):
        super().__init__()
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        values = {value for key, value in attrs if key in ("src", "href", "content") and value}
        self.names |= {value for value in values if value.startswith("/")}


def tarball_of(members: dict[str, bytes], folder: Path) -> Path:
    path = folder / "made.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_file_that_the_page_names_is_there(viewer: ViewerFiles) -> None:
    named = Named(viewer.read("index.html").decode()).names
    assert len(named) > 30
    for name in named - {"/viewer/app-config.js"}:
        assert name.startswith(PREFIX)
        assert name.removeprefix(PREFIX) in viewer.files


def test_every_script_that_a_bundle_loads_later_is_there(viewer: ViewerFiles) -> None:
    app = next(name for name in viewer.files if name.startswith("app.bundle.") and name.endswith(".js"))
    digests = re.findall(r'\d+: "([0-9a-f]{16})"', viewer.read(app).decode())
    assert len(digests) > 30
    for digest in digests:
        assert [name for name in viewer.files if name.endswith(f".bundle.{digest}.js")], digest


def test_every_icon_of_the_manifest_and_every_font_is_there(viewer: ViewerFiles) -> None:
    icons = [icon["src"] for icon in json.loads(viewer.read("manifest.json"))["icons"]]
    fonts = [name.decode() for name in re.findall(rb"url\((/[^)]+)\)", viewer.read("app.bundle.css"))]
    assert icons
    assert fonts
    for name in icons + fonts:
        assert name.removeprefix(PREFIX) in viewer.files


def test_no_file_still_takes_itself_to_be_served_at_the_root(viewer: ViewerFiles) -> None:
    for name in viewer.files:
        content = viewer.read(name)
        assert b'__webpack_require__.p = "/"' not in content, name
        assert b"url(/a" not in content, name
        assert b'"/assets/' not in content, name


def test_what_is_not_needed_is_left_out(viewer: ViewerFiles) -> None:
    left_out = ("ort/", "dicom-microscopy-viewer/", "customizations/", "sw.js", "google.js", "app-config.js")
    assert not [name for name in viewer.files if name.startswith(left_out) or name.endswith(".map")]
    assert b"Permission is hereby granted" in viewer.read("LICENSE")
    assert sum(viewer.path(name).stat().st_size for name in viewer.files) < 12e6


def test_installing_from_a_file_gives_the_same_bytes_and_a_second_time_does_nothing(
    viewer: ViewerFiles, ohif_tarball: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "ohif"
    arguments = ["viewer", "install", "--folder", str(folder), "--tarball", str(ohif_tarball), "--json"]
    assert run(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["folder"], first["was_there"]) == (str(folder), False)
    assert contents(folder) == contents(viewer.folder)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out) == first | {"was_there": True}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times
    assert [path.name for path in folder.parent.iterdir()] == ["ohif"]

    (folder / "files" / "index.html.gz").unlink()
    assert run(arguments) == 0
    assert contents(folder) == contents(viewer.folder)


@pytest.mark.parametrize("size", [0, 1_000_000, -1])
def test_a_truncated_tarball_is_refused_before_anything_is_written(
    ohif_tarball: Path, tmp_path: Path, size: int
) -> None:
    cut = tmp_path / "cut.tgz"
    cut.write_bytes(ohif_tarball.read_bytes()[:size])
    with pytest.raises(InputError, match=rf"{cut}: is not @ohif/app@3.13.2, or damaged .*npm pack"):
        install_viewer(tmp_path / "out" / "ohif", tarball=cut)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.tgz"]


def test_one_changed_bit_is_noticed(ohif_tarball: Path, tmp_path: Path) -> None:
    content = bytearray(ohif_tarball.read_bytes())
    content[len(content) // 2] ^= 1
    changed = tmp_path / "changed.tgz"
    changed.write_bytes(content)
    with pytest.raises(InputError, match="or damaged"):
        install_viewer(tmp_path / "ohif", tarball=changed)
    assert not (tmp_path / "ohif").exists()


def test_a_missing_tarball_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "missing.tgz")
    assert run(["viewer", "install", "--folder", str(tmp_path / "ohif"), "--tarball", missing]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{missing}: cannot be read (No such file or directory)" in line


def test_a_folder_of_something_else_is_left_alone(ohif_tarball: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years")
    with pytest.raises(InputError, match="holds other files"):
        install_viewer(tmp_path, tarball=ohif_tarball)
    assert contents(tmp_path).keys() == {"thesis.txt"}


def test_an_interrupted_installation_leaves_nothing(ohif_tarball: Path, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int, /, **figures: float) -> None:
        if done == 40:
            raise KeyboardInterrupt

    folder = tmp_path / "ohif"
    with pytest.raises(KeyboardInterrupt):
        install_viewer(folder, tarball=ohif_tarball, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    assert find_viewer(folder) is None


@pytest.mark.parametrize(
    "name", ["package/dist/../../../outside.js", "../outside.js", "/outside.js", "package/dist/a/../../../../b.js"]
)
def test_a_member_outside_of_the_package_is_refused(name: str, tmp_path: Path) -> None:
    tarball = tarball_of({"package/dist/index.html": b"<p>", name: b"evil"}, tmp_path)
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    with tarball.open("rb") as file, pytest.raises(InputError, match="outside of it"):
        unpack(file, folder)
    assert contents(tmp_path).keys() == {"made.tgz"}


def test_links_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "links.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo(f"package/dist/link{kind.decode()}.js")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    (tmp_path / "out").mkdir()
    with path.open("rb") as file:
        unpack(file, tmp_path / "out")
    assert contents(tmp_path / "out").keys() == {"installed.json"}


@pytest.mark.parametrize("content", [b"", b"no gzip", b"\x1f\x8b\x08\x00" + bytes(20)])
def test_what_is_no_tarball_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "no.tgz"
    path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(InputError, match="cannot be unpacked"):
        unpack(file, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("index.html", '<script src="/a.js"></script>', '<script src="/viewer/a.js"></script>'),
        ("index.html", 'window.PUBLIC_URL="/"', 'window.PUBLIC_URL="/viewer/"'),
        ("x.css", "url(/a.woff2) url(data:x)", "url(/viewer/a.woff2) url(data:x)"),
        ("1.bundle.js", '__webpack_require__.p = "/";', '__webpack_require__.p = "/viewer/";'),
        ("manifest.json", '{"src": "/assets/a", "start_url": "./"}', '{"src": "/viewer/assets/a", "start_url": "./"}'),
        ("1.bundle.js", 'href="/a" url(/b)', 'href="/a" url(/b)'),
        ("a.png", '="/', '="/'),
    ],
)
def test_the_public_path_is_put_where_the_root_was(name: str, before: str, after: str) -> None:
    assert set_public_path(name, before.encode()).decode() == after


def _npm(folder: Path, script: str) -> str:
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    return str(folder)


def test_what_npm_says_went_wrong_is_one_line_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "echo 'npm error code ENOTFOUND\nnpm error network no such host\nnpm error log at x' >&2; exit 1"
    monkeypatch.setenv("PATH", f"{_npm(tmp_path / 'bin', script)}:/usr/bin:/bin")
    assert run(["viewer", "install", "--folder", str(tmp_path / "ohif")]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "npm could not fetch it (code ENOTFOUND, network no such host)" in line
    assert "npm pack @ohif/app@3.13.2" in line
    assert "--tarball" in line
    assert not (tmp_path / "ohif").exists()


def test_a_registry_that_gives_another_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{_npm(tmp_path / 'bin', 'echo other > ohif-app-3.13.2.tgz')}:/usr/bin:/bin")
    with pytest.raises(InputError, match="is not @ohif/app"):
        install_viewer(tmp_path / "ohif")
    assert not (tmp_path / "ohif").exists()


def test_npm_of_the_environment_is_asked_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def bundled(arguments: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        # Real npm, but for another command: one download of the package is enough.
        done = real(["--version"], **options)
        asked.append((arguments, done.stdout.strip()))
        Path(str(options["cwd"]), "fetched.tgz").touch()
        return done

    real = viewer_installation.run_bundled_npm
    monkeypatch.setattr(viewer_installation, "run_bundled_npm", bundled)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch_package(tmp_path).name == "fetched.tgz"
    ((arguments, version),) = asked
    assert arguments[:2] == ["pack", "@ohif/app@3.13.2"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
