"""Phantoms with a model that is trained in seconds, for tests of what surrounds the training."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from apps.calibrated_ensemble.command_line import run
from lib.datasets.make_studies import prepare_studies
from lib.simulation.phantoms import PhantomFiles, write_phantoms

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


def train_tiny_studies(root: Path) -> TinyStudies:
    """Make the folder and train on it, with the command."""
    studies = make_tiny_studies(root)
    status = run(["train", "--studies", str(studies.folder), "--task", str(studies.task), "--device", "cpu", "--json"])
    assert status == 0
    return studies
