"""Phantoms as DICOM series whose slices lie in every way that a scanner puts them."""

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from lib.dicom.series_writer import series_datasets
from lib.images.volume import Volume
from lib.simulation.phantoms import make_phantom


@dataclass(frozen=True)
class Geometry:
    """How a phantom is cut into slices.

    Attributes:
        orientation: axis codes of columns, rows and slices.
        tilt: degrees about an oblique axis.
        descending: whether instance numbers fall along the slice normal.
        margins: voxels left out at the end of each axis; most leave rows times columns that 8 does not divide.
    """

    orientation: str = "LPS"
    tilt: float = 0.0
    descending: bool = False
    margins: tuple[int, int, int] = (1, 3, 0)


GEOMETRIES = {
    "ascending": Geometry(),
    "descending": Geometry(descending=True),
    "coronal": Geometry(orientation="LIP", margins=(1, 1, 4)),
    "oblique": Geometry(tilt=17, margins=(3, 1, 2)),
    "divisible by 8": Geometry(margins=(0, 0, 0)),
}


def phantom_series(name: str, index: int) -> list[Dataset]:
    """Phantom number `index` in the geometry of that name, as the images of a CT series."""
    geometry = GEOMETRIES[name]
    scan = make_phantom(index, orientation=geometry.orientation, tilt=geometry.tilt).scan
    x, y, z = (size - margin for size, margin in zip(scan.shape, geometry.margins, strict=True))
    volume = Volume(np.ascontiguousarray(scan.array[:x, :y, :z]), scan.affine)
    return series_datasets(
        volume,
        modality="CT",
        patient_id=f"PHANTOM-{index}",
        patient_name=f"Phantom^{index}",
        description=f"{name} {index}",
        entropy=f"viewer {name} {index}",
        descending=geometry.descending,
    )
