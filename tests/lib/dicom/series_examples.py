"""Small series in every geometry that scanners make, for the tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset

from lib.dicom.series_writer import series_datasets
from lib.images.volume import Volume

LABELS = {"Tumour": 1, "necrotic core": 4, "cyst": 200}
COLOURS = {"Tumour": (230, 60, 50), "necrotic core": (20, 160, 70), "cyst": (40, 90, 220)}

SHAPE = (7, 5, 6)
"""Columns times rows is no multiple of 8, and no two lengths are equal."""


def _turn(about: Sequence[float], degrees: float) -> np.ndarray:
    axis, angle = np.array(about) / np.linalg.norm(about), np.radians(degrees)
    cross = np.cross(np.eye(3), axis).T
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _affine(directions: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(spacing)
    affine[:3, 3] = (-31.25, 42.5, -7.123456789)
    return affine


_AXIAL = np.diag([-1.0, -1.0, 1.0])
_CORONAL = np.array([[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]])
_SAGITTAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])

AFFINES = {
    "axial": _affine(_AXIAL, (1, 1, 1)),
    "anisotropic": _affine(_AXIAL, (0.78125, 0.9, 5)),
    "left-handed": _affine(_AXIAL * (1, 1, -1), (0.7, 0.8, 2.5)),
    "coronal": _affine(_CORONAL, (0.9, 1.1, 3)),
    "sagittal": _affine(_SAGITTAL, (0.9, 1.1, 3)),
    "oblique": _affine(_turn((1, 2, 3), 33) @ _AXIAL, (0.6, 0.7, 3.3)),
    "oblique left-handed": _affine(_turn((3, -1, 2), -71) @ (_AXIAL * (1, 1, -1)), (1 / 3, 0.45, 0.7)),
}

GEOMETRIES = [(name, descending) for name in AFFINES for descending in (False, True)]
"""Name of the affine, and whether instance numbers descend."""


def make_scan(affine: np.ndarray = AFFINES["axial"], shape: tuple[int, int, int] = SHAPE) -> Volume:
    """Grey values that differ between all voxels."""
    return Volume(np.arange(np.prod(shape), dtype=np.float32).reshape(shape) - 100, affine)


def make_series(
    affine: np.ndarray = AFFINES["axial"],
    *,
    shape: tuple[int, int, int] = SHAPE,
    descending: bool = False,
    modality: str = "CT",
    entropy: str = "series",
) -> list[Dataset]:
    return series_datasets(
        make_scan(affine, shape),
        modality=modality,
        patient_id="patient-1",
        patient_name="Doe^Jane",
        description="a scan",
        entropy=entropy,
        descending=descending,
    )


def make_label(seed: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A label in which neighbouring voxels have nothing in common."""
    return np.random.default_rng(seed).choice(np.array([0, 0, *LABELS.values()], np.uint8), shape)


def write_files(datasets: Sequence[Dataset], folder: Path) -> list[Path]:
    """DICOM files, whose names say nothing about their order."""
    files = []
    for number, dataset in enumerate(datasets):
        file = folder / f"{(number * 7919) % 1000:03d}-{number}.dcm"
        dataset.save_as(file, write_like_original=False)
        files.append(file)
    return files


def world_positions(volume: Volume) -> np.ndarray:
    """RAS millimetres of each voxel, shape (x, y, z, 3)."""
    indices = np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), axis=-1)
    return indices @ volume.affine[:3, :3].T + volume.affine[:3, 3]
