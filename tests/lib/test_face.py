"""What `lib` and its rooms offer: by one import line, and without loading what is not used."""

import ast
import importlib.util
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import lib
from lib.datasets.scans import LabelledScan
from lib.dicom.series_writer import series_datasets
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.models.workspace import Workspace
from tests.tiny_training import Trained, a_ball_volume

ROOT = Path(lib.__file__).parents[1]

PUBLIC = [
    "Task",
    "read_task",
    "Volume",
    "read_scan",
    "read_label",
    "write_volume",
    "read_studies",
    "read_data_set",
    "train_ensemble",
    "Workspace",
    "Generation",
    "Ensemble",
    "Prediction",
    "EnsembleLoss",
    "Votes",
    "estimated_dsc",
    "uncertain_regions",
    "evaluate",
]

ROOMS = sorted(name for _, name, is_package in pkgutil.walk_packages(lib.__path__, "lib.") if is_package)


def loaded_after(code: str, folder: Path = ROOT) -> set[str]:
    """Names of the modules that a fresh interpreter holds after some code."""
    told = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}\nprint(*sys.modules)"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(told.stdout.split())


def test_lib_offers_what_is_promised() -> None:
    assert sorted(lib.__all__) == sorted(dir(lib)) == sorted(PUBLIC)


@pytest.mark.parametrize("package", ["lib", *ROOMS])
def test_every_offered_name_is_there_whatever_was_imported_before(package: str) -> None:
    room = importlib.import_module(package)
    assert room.__all__
    for module in pkgutil.iter_modules(room.__path__):
        importlib.import_module(f"{package}.{module.name}")
    for name in room.__all__:
        offered = getattr(room, name)
        assert not hasattr(offered, "__path__"), f"{package}.{name} is a package"
        assert type(offered) is not type(lib), f"{package}.{name} is a module"


def test_the_product_imports_from_the_modules_that_define_a_name() -> None:
    """A face hides from import rules and from the type checker what is behind it."""
    packages = {"lib", *ROOMS}
    for file in (file for folder in ("lib", "scoring", "apps", "benchmarks") for file in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in packages and not node.level:
                for alias in node.names:
                    is_module = importlib.util.find_spec(f"{node.module}.{alias.name}") is not None
                    assert is_module, f"{file.relative_to(ROOT)} imports {alias.name} from the face of {node.module}"


def test_importing_lib_loads_hardly_anything() -> None:
    assert len(loaded_after("import lib")) < 100


def test_importing_the_rooms_loads_nothing_heavy() -> None:
    loaded = loaded_after("".join(f"import {room}\n" for room in ROOMS))
    assert not loaded & {"numpy", "scipy", "sklearn", "torch", "monai", "pydicom"}


def test_reading_a_nifti_file_loads_neither_monai_nor_torch(tmp_path: Path) -> None:
    assert len(loaded_after("from lib.images import read_scan")) < 1000
    write_volume(tmp_path / "scan.nii.gz", a_ball_volume(0)[0])
    write_volume(tmp_path / "scan.nrrd", a_ball_volume(0)[0])
    read = "from lib import read_scan\nread_scan('scan.nii.gz')\nread_scan('scan.nrrd')"
    assert not loaded_after(read, tmp_path) & {"monai", "torch", "sklearn", "SimpleITK"}


def test_reading_a_task_file_loads_neither_scipy_nor_scikit_learn(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text("{name: lesions, modality: CT, labels: {lesion: 1}, heatmap: single}")
    read = "from lib import read_task\nprint(read_task('task.yaml').calibrator)"
    assert not loaded_after(read, tmp_path) & {"scipy", "sklearn", "torch", "monai"}


def test_a_scan_is_read_from_a_file_or_from_the_folder_of_a_series(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 500, (5, 6, 4)).astype(np.float32)
    scan = Volume(grey, np.diag([-2.0, -2.0, 3.0, 1.0]))
    write_volume(tmp_path / "scan.nrrd", scan)
    (tmp_path / "series").mkdir()
    for number, image in enumerate(series_datasets(scan, modality="CT", patient_id="a", entropy="a")):
        image.save_as(tmp_path / "series" / f"{number}.dcm", write_like_original=False)
    for path in (tmp_path / "scan.nrrd", str(tmp_path / "series")):
        read = lib.read_scan(path)
        np.testing.assert_array_equal(read.array, scan.array)
        np.testing.assert_allclose(read.affine, scan.affine, atol=1e-6)


def test_the_notebook_of_the_readme_runs(copied: Trained, balls: tuple[LabelledScan, ...], tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    home = tmp_path / "home"
    for name in ("studies/labels/final", "imagesTs", "labelsTs"):
        (home / name).mkdir(parents=True)
    for scan in copied.scans:
        shutil.copy(scan.image, home / "studies")
        shutil.copy(scan.label, home / "studies/labels/final")
    for scan in balls[len(copied.scans) :]:
        shutil.copy(scan.image, home / "imagesTs")
        shutil.copy(scan.label, home / "labelsTs")
    shutil.copy(balls[0].image, home / "scan.nii.gz")
    tasks = home / "apps" / "calibrated_ensemble" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "hippocampus.yaml").write_text(yaml.safe_dump(copied.task.model_dump(mode="json")))
    copied.workspace.root.rename(home / "work")
    ask = "\nassert prediction.heatmap.shape == (1, 20, 18, 14)\nassert len(unseen) == 2"
    loaded_after(code + ask, home)
    # It went on with what was trained already.
    assert [one.name for one in Workspace(home / "work").generations.iterdir()] == [copied.generation.id]
