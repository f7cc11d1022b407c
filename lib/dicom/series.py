"""A series of single-frame images as a volume: where its voxels lie, and its grey values."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813
from pydicom import Dataset

from lib.errors import InputError
from lib.images.grid_distance import SAME_GRID, corner_distance
from lib.images.volume import RAS_TO_LPS, Volume

SLICE_TOLERANCE = 0.1
"""How far a slice may lie from its place in an even grid, in voxels; a missing slice moves one by a third or more."""

_SAME_DIRECTION = 1e-3
_SAME_MILLIMETRES = 1e-3


@dataclass(frozen=True)
class SeriesGrid:
    """Where the voxels of a series lie.

    Attributes:
        series_uid: SeriesInstanceUID.
        frame_of_reference_uid: FrameOfReferenceUID.
        sop_instance_uids: of the slices, by growing position along row direction x column direction.
        shape: (columns, rows, slices).
        affine: shape (4, 4), from indices (column, row, slice) to RAS millimetres.
    """

    series_uid: str
    frame_of_reference_uid: str
    sop_instance_uids: tuple[str, ...]
    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between columns, rows and slices."""
        columns, rows, slices = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(columns), float(rows), float(slices)

    def indices(self, positions: np.ndarray) -> np.ndarray:
        """Where positions lie in voxels.

        Args:
            positions: shape (n, 3), LPS millimetres as in ImagePositionPatient.

        Returns:
            Shape (n, 3), fractions of (column, row, slice).
        """
        to_voxels = np.linalg.inv(RAS_TO_LPS @ self.affine)
        return positions @ to_voxels[:3, :3].T + to_voxels[:3, 3]


def series_grid(headers: Sequence[Dataset]) -> SeriesGrid:
    """Find the grid of a series.

    Args:
        headers: of all its images, in any order; neither pixels nor file meta information are needed.

    Raises:
        InputError: the images are of no or several series, are multi-frame objects, have no
            geometry or mixed ones, or are no even stack of slices: two at one place, one
            missing, or a tilted gantry.
    """
    where = _one_series(headers)
    uids = _instance_uids(headers, where)
    plane, positions = _one_plane(headers, where), _numbers(headers, "ImagePositionPatient", 3, where)
    row, column = plane.orientation[:3], plane.orientation[3:]
    normal = np.cross(row, column)
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    gap = _slice_gap(headers, positions @ normal, where)
    lps = np.eye(4)
    lps[:3, :3] = np.stack([row * plane.spacing[1], column * plane.spacing[0], normal * gap], axis=1)
    lps[:3, 3] = positions[0]
    grid = SeriesGrid(
        series_uid=str(headers[0].SeriesInstanceUID),
        frame_of_reference_uid=_one_value(headers, "FrameOfReferenceUID", where),
        sop_instance_uids=tuple(uids[index] for index in order),
        shape=(plane.columns, plane.rows, len(headers)),
        affine=RAS_TO_LPS @ lps,
    )
    _check_even(grid, positions, where)
    return grid


def files_of(folder: Path) -> list[Path]:
    """Files of a folder that holds one series, in the order of their names; hidden ones are left out.

    Raises:
        InputError: the folder is missing or empty.
    """
    files = sorted(path for path in Path(folder).glob("[!.]*") if path.is_file())
    if not files:
        raise InputError(f"{folder}: holds no files; give a folder with the images of one DICOM series")
    return files


def read_headers(files: Sequence[Path]) -> list[Dataset]:
    """Read what DICOM files hold beside their pixels, in the order of the files.

    Raises:
        InputError: a file is missing or no DICOM file.
    """
    return [_read_header(Path(file)) for file in files]


def read_series(files: Sequence[Path]) -> tuple[Volume, SeriesGrid]:
    """Read a series of classic images, of any transfer syntax that GDCM decodes.

    Args:
        files: of all its images, in any order.

    Returns:
        Rescaled grey values, float32 on the grid, and the grid.

    Raises:
        InputError: as `read_headers` and `series_grid`, and when the pixels cannot be decoded, hold
            colours, or NaN or infinite values.
    """
    headers = read_headers(files)
    grid = series_grid(headers)
    where = f"series {grid.series_uid}"
    by_instance = {str(header.SOPInstanceUID): str(file) for header, file in zip(headers, files, strict=True)}
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([by_instance[uid] for uid in grid.sop_instance_uids])
    # Rescale slopes may differ between slices, so no slice may decide for the others how numbers are kept.
    reader.SetOutputPixelType(sitk.sitkFloat32)
    if {int(header.get("SamplesPerPixel") or 1) for header in headers} != {1}:
        raise InputError(f"{where}: holds colours; give a series with one grey value a pixel")
    try:
        image = reader.Execute()
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n")[-2:]).strip()[-200:]
        raise InputError(f"{where}: its pixels cannot be decoded ({reason}); send the series again") from error
    _check_same_place(image, grid, where)
    array = sitk.GetArrayFromImage(image).T
    if not np.isfinite(array).all():
        raise InputError(f"{where}: holds NaN or infinite grey values; send the series again with finite ones")
    return Volume(array, grid.affine), grid


@dataclass(frozen=True)
class _Plane:
    orientation: np.ndarray
    spacing: np.ndarray
    rows: int
    columns: int


def _one_series(headers: Sequence[Dataset]) -> str:
    """Name the series for messages, after a look at whether it is one of single images."""
    if not headers:
        raise InputError("series: has no images; give the images of one series")
    uids = sorted({str(header.get("SeriesInstanceUID") or "") for header in headers})
    if len(uids) > 1 or not uids[0]:
        raise InputError(
            f"series {uids[0] or uids[-1]}: its images name {len(uids)} series; give the images of one series"
        )
    where = f"series {uids[0]}"
    for header in headers:
        if "SharedFunctionalGroupsSequence" in header or int(header.get("NumberOfFrames") or 1) > 1:
            raise InputError(
                f"{where}: holds multi-frame objects, which are not supported; send it as single-frame images"
            )
    return where


def _one_plane(headers: Sequence[Dataset], where: str) -> _Plane:
    """The orientation, spacing and size that all images have."""
    orientations = _numbers(headers, "ImageOrientationPatient", 6, where)
    spacings = _numbers(headers, "PixelSpacing", 2, where)
    sizes = _numbers(headers, "Rows", 1, where), _numbers(headers, "Columns", 1, where)
    for what, values, tolerance in (
        ("orientations", orientations, _SAME_DIRECTION),
        ("pixel spacings", spacings, _SAME_MILLIMETRES),
        ("sizes", np.hstack(sizes), 0),
    ):
        if np.ptp(values, axis=0).max() > tolerance:
            kinds = np.unique(values, axis=0)
            raise InputError(
                f"{where}: has images of different {what}, such as {kinds[0].tolist()} and {kinds[-1].tolist()}; "
                "give a series whose images are parallel and alike, without localisers"
            )
    orientation = orientations[0]
    axes = orientation.reshape(2, 3)
    if np.abs(axes @ axes.T - np.eye(2)).max() > _SAME_DIRECTION or (spacings <= 0).any():
        raise InputError(
            f"{where}: has the orientation {orientation.tolist()} and spacing {spacings[0].tolist()}, which are no "
            "grid; send the series again with two unit vectors at right angles and spacings above 0"
        )
    return _Plane(orientation, spacings[0], int(sizes[0][0, 0]), int(sizes[1][0, 0]))


def _instance_uids(headers: Sequence[Dataset], where: str) -> list[str]:
    uids = [str(header.get("SOPInstanceUID") or "") for header in headers]
    if "" in uids or len(set(uids)) < len(uids):
        raise InputError(
            f"{where}: has {len(uids)} images and {len(set(uids) - {''})} SOPInstanceUIDs; give each image once"
        )
    return uids


def _numbers(headers: Sequence[Dataset], keyword: str, count: int, where: str) -> np.ndarray:
    """Values of an attribute, shape (images, count)."""
    rows = [_value(header, keyword) for header in headers]
    for header, row in zip(headers, rows, strict=True):
        if row.shape != (count,) or not np.isfinite(row).all():
            raise InputError(
                f"{where}: image {header.get('SOPInstanceUID')} has no geometry, {keyword} holds "
                f"{np.count_nonzero(np.isfinite(row))} numbers, not {count}; send the series with its geometry"
            )
    return np.stack(rows)


def _value(header: Dataset, keyword: str) -> np.ndarray:
    """Numbers of an attribute; NaN or none where it is absent or holds something else."""
    try:
        return np.atleast_1d(np.asarray(header.get(keyword), dtype=np.float64))
    except ValueError:
        return np.empty(0)


def _one_value(headers: Sequence[Dataset], keyword: str, where: str) -> str:
    found = sorted({str(header.get(keyword) or "") for header in headers})
    if len(found) > 1 or not found[0]:
        raise InputError(f"{where}: has {found} as {keyword}; send the series with one for all images")
    return found[0]


def _slice_gap(headers: Sequence[Dataset], along: np.ndarray, where: str) -> float:
    """Millimetres between slices, whose places along the normal are sorted."""
    if len(along) > 1:
        steps = np.diff(along)
        if steps.min() < _SAME_MILLIMETRES:
            place = along[int(steps.argmin())]
            raise InputError(
                f"{where}: has two images at one place, {place:.3f} mm along the normal; "
                "give a series of one volume, without repetitions"
            )
        return float(along[-1] - along[0]) / (len(along) - 1)
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = _value(headers[0], keyword)
        if value.size == 1 and value[0] > 0:
            return float(value[0])
    raise InputError(
        f"{where}: has one image without SliceThickness; send it with the thickness of the slice in millimetres"
    )


def _check_even(grid: SeriesGrid, positions: np.ndarray, where: str) -> None:
    count = grid.shape[2]
    indices = grid.indices(positions)
    off = np.abs(indices - np.stack([np.zeros(count), np.zeros(count), np.arange(count)], axis=1))
    if off[:, 2].max() > SLICE_TOLERANCE:
        steps = np.diff(indices[:, 2]) * grid.spacing[2]
        raise InputError(
            f"{where}: its slices lie {steps.min():.3f} to {steps.max():.3f} mm apart; "
            "send the missing slices, or a series of even steps"
        )
    if off[:, :2].max() > SLICE_TOLERANCE:
        raise InputError(
            f"{where}: its slices are shifted sideways by up to {off[:, :2].max():.1f} pixels, as with a tilted "
            "gantry; resample the series to a grid with right angles"
        )


def _read_header(file: Path) -> Dataset:
    try:
        return pydicom.dcmread(file, stop_before_pixels=True)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); give DICOM files that are there") from error
    except pydicom.errors.InvalidDicomError as error:
        raise InputError(f"{file}: is no DICOM file; give the files of one series") from error


def _check_same_place(image: sitk.Image, grid: SeriesGrid, where: str) -> None:
    """SimpleITK reads geometry by rules of its own; its pixels belong to our grid only where both agree."""
    direction = np.asarray(image.GetDirection()).reshape(3, 3)
    lps = np.eye(4)
    lps[:3, :3] = direction * np.asarray(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    if grid.shape[2] == 1:  # ITK does not know how thick a single slice is
        lps[:3, 2] = (RAS_TO_LPS @ grid.affine)[:3, 2]
    if image.GetSize() != grid.shape or corner_distance(RAS_TO_LPS @ lps, grid.affine, grid.shape) > SAME_GRID:
        raise InputError(
            f"{where}: its attributes and its pixels disagree about the geometry, {grid.shape} voxels from "
            f"{grid.affine[:3, 3].tolist()} and {image.GetSize()}; send the series again"
        )
