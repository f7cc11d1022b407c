"""Phantoms with a model that is trained in seconds, for tests of what surrounds the training."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from apps.calibrated_ensemble.command_line import run
from lib.datasets.make_studies import prepare_studies
from lib.simulation.phantoms import PhantomFiles, write_phantoms
from tests.made_once import made_once

TASK = """\
name: tiny
modality: CT
labels: {lesion: 3}
spacing: [3.0, 3.0, 3.0]
region: organ
w_dsc: 0
offsets: [-1, 0, 1]
fold_count: 2
preset: demo
network: {init_filters: 4, blocks_down: [1, 1]}
training: {iterations: 24, batch_size: 2, patch_voxels: 4096}
"""


@dataclass(frozen=True)
class TinyStudies:
    """A studies folder with four labelled and three unlabelled phantoms, and its task file."""

    folder: Path
    task: Path
    phantoms: list[PhantomFiles]
    labelled: tuple[str, ...]

    @property
    def unlabelled(self) -> list[PhantomFiles]:
        return [files for files in self.phantoms if files.name not in self.labelled]


def make_tiny_studies(root: Path) -> TinyStudies:
    """Make the folder; label value 3 is the lesion, so that class index and label value differ."""
    phantoms = write_phantoms(root / "phantoms", 7, orientations=("RAS", "LPI"))
    for files in phantoms:
        image = nib.load(files.label)
        nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj) * np.uint8(3), image.affine), files.label)
    prepared = prepare_studies(
        root / "phantoms" / "imagesTr",
        root / "phantoms" / "labelsTr",
        root / "studies",
        labelled=4,
        regions=root / "phantoms" / "regionsTr",
        region_tag="organ",
    )
    task = root / "tiny.yaml"
    task.write_text(TASK)
    return TinyStudies(root / "studies", task, phantoms, prepared.labels)


def copy_trained_studies(factory: pytest.TempPathFactory, root: Path) -> TinyStudies:
    """Give studies that one worker trained on for all, copied into a folder that may be written into."""
    made = made_once(factory, "tiny_studies", train_tiny_studies)
    source = made.task.parent
    shutil.copytree(source, root, dirs_exist_ok=True)

    def moved(path: Path) -> Path:
        return root / path.relative_to(source)

    phantoms = [
        PhantomFiles(files.name, *map(moved, (files.scan, files.label, files.region, files.posterior)))
        for files in made.phantoms
    ]
    return replace(made, folder=moved(made.folder), task=moved(made.task), phantoms=phantoms)


def train_tiny_studies(root: Path) -> TinyStudies:
    """Make the folder and train on it, with the command."""
    studies = make_tiny_studies(root)
    status = run(["train", "--studies", str(studies.folder), "--task", str(studies.task), "--device", "cpu", "--json"])
    assert status == 0
    return studies
