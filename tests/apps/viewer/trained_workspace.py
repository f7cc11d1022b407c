"""A workspace with one generation for two classes, trained in seconds on phantoms."""

from pathlib import Path

import numpy as np

from apps.calibrated_ensemble.command_line import run
from lib.images.files import write_volume
from lib.images.volume import Volume
from lib.simulation.phantoms import make_phantom

ORGAN, LESION = 1, 3
"""Values of the classes in a label; not their positions, so that a mix-up is seen."""

TASK = f"""\
name: organ_and_lesion
modality: CT
labels: {{organ: {ORGAN}, lesion: {LESION}}}
spacing: [3.0, 3.0, 3.0]
w_dsc: [0, 0]
offsets: [-1, 0, 1]
fold_count: 2
preset: demo
network: {{init_filters: 8, blocks_down: [1, 1]}}
training: {{iterations: 120, batch_size: 2, patch_voxels: 4096}}
"""

LABELLED = 4

VALUES = {"organ": ORGAN, "lesion": LESION}


def train_workspace(root: Path) -> tuple[Path, Path]:
    """Train on phantoms in a folder; give the workspace and the task file."""
    studies = root / "labelled"
    (studies / "labels" / "final").mkdir(parents=True)
    for index in range(LABELLED):
        phantom = make_phantom(index)
        label = np.where(phantom.label.array > 0, LESION, phantom.region.array * ORGAN).astype(np.uint8)
        write_volume(studies / f"{phantom.name}.nii.gz", phantom.scan)
        write_volume(studies / "labels" / "final" / f"{phantom.name}.nii.gz", Volume(label, phantom.label.affine))
    task = root / "organ_and_lesion.yaml"
    task.write_text(TASK)
    workspace = root / "workspace"
    command = ["train", "--studies", str(studies), "--workspace", str(workspace), "--task", str(task)]
    assert run([*command, "--device", "cpu", "--json"]) == 0
    return workspace, task
