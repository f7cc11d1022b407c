"""OHIF for the tests that need it; a new machine fetches it once."""

import shutil
from pathlib import Path

import pytest

from apps.calibrated_ensemble.ohif.files import VERSION, ViewerFiles, default_viewer_folder, find_viewer
from apps.calibrated_ensemble.ohif.installation import fetch_package, install_viewer


@pytest.fixture(scope="session")
def ohif_tarball(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm package, as npm fetches it."""
    kept = pytestconfig.cache.mkdir("ohif") / f"ohif-app-{VERSION}.tgz"
    if not kept.exists():
        fetched = fetch_package(tmp_path_factory.mktemp("npm"))
        shutil.move(fetched, kept.with_suffix(".part"))
        kept.with_suffix(".part").replace(kept)
    return kept


@pytest.fixture(scope="session")
def viewer(ohif_tarball: Path) -> ViewerFiles:
    """The viewer in the user's cache, where a server finds it as well."""
    return find_viewer() or install_viewer(default_viewer_folder(), tarball=ohif_tarball)
