"""The command line programs of dcmqi, an independent reader and writer of segmentations."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813

from lib.dicom.series import SeriesGrid
from lib.images.volume import Volume

_PROGRAMS = Path(sys.executable).parent
_TISSUE = {"CodeValue": "85756007", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Tissue"}


def read_with_dcmqi(file: Path, folder: Path, grid: SeriesGrid) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Segments by name as boolean arrays on the grid, and the attributes that dcmqi found."""
    folder.mkdir()
    _run("segimage2itkimage", "--inputDICOM", file, "--outputDirectory", folder, "-p", "out")
    attributes = [one for (one,) in json.loads((folder / "out-meta.json").read_text())["segmentAttributes"]]
    images = {one["SegmentLabel"]: sitk.ReadImage(str(folder / f"out-{one['labelID']}.nrrd")) for one in attributes}
    return {name: on_grid(image, grid) for name, image in images.items()}, attributes


def write_with_dcmqi(
    label: Volume, files: Sequence[Path], folder: Path, *, labels: Mapping[str, int], kind: str = "binary", **more: str
) -> Path:
    """Segmentation file that dcmqi makes of a label on the grid of a series."""
    metadata = {
        "ContentCreatorName": "Reader^One",
        "SeriesDescription": "by dcmqi",
        "SeriesNumber": "7",
        "InstanceNumber": "1",
        "BodyPartExamined": "",
        "segmentAttributes": [
            [
                {
                    "labelID": value,
                    "SegmentLabel": name,
                    "SegmentDescription": "drawn",
                    "SegmentAlgorithmType": "MANUAL",
                    "SegmentedPropertyCategoryCodeSequence": _TISSUE,
                    "SegmentedPropertyTypeCodeSequence": _TISSUE,
                }
                for name, value in labels.items()
            ]
        ],
    }
    (folder / "metadata.json").write_text(json.dumps(metadata))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ label.affine
    image = sitk.GetImageFromArray(label.array.T)
    image.SetSpacing(label.spacing)
    image.SetOrigin(lps[:3, 3])
    image.SetDirection((lps[:3, :3] / np.array(label.spacing)).ravel())
    sitk.WriteImage(image, str(folder / "label.nrrd"))
    options = [part for key, value in more.items() for part in (f"--{key}", value)]
    _run(
        "itkimage2segimage",
        *("--inputImageList", folder / "label.nrrd", "--inputDICOMList", ",".join(map(str, files))),
        *("--inputMetadata", folder / "metadata.json", "--outputDICOM", folder / "dcmqi.dcm"),
        *("--segmentationType", kind, *options),
    )
    return folder / "dcmqi.dcm"


def on_grid(image: sitk.Image, grid: SeriesGrid) -> np.ndarray:
    """Foreground of an image on the voxels of a grid, through world coordinates."""
    foreground = np.argwhere(sitk.GetArrayFromImage(image) > 0)[:, ::-1]
    positions = np.array([image.TransformIndexToPhysicalPoint(index.tolist()) for index in foreground]).reshape(-1, 3)
    indices = grid.indices(positions)
    np.testing.assert_allclose(indices, np.rint(indices), atol=1e-2)
    array = np.zeros(grid.shape, dtype=bool)
    array[tuple(np.rint(indices).astype(int).T)] = True
    return array


def _run(program: str, *arguments: str | Path) -> None:
    done = subprocess.run([_PROGRAMS / program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
