"""A series of single-frame images as a volume: where its voxels lie; `series_pixels` has its grey values."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.uid import UID

from lib.dicom.deflated import check_unpacked_file
from lib.dicom.series_pixels import Pixels, read_pixels, shown
from lib.errors import InputError, ProductError
from lib.images.grid_distance import SAME_GRID, corner_distance
from lib.images.plausible_grid import check_grid, spatial_shape
from lib.images.volume import RAS_TO_LPS, Volume

logger = logging.getLogger(__name__)

SLICE_TOLERANCE = 0.1
"""How far a slice may lie from its place in an even grid, in voxels; a missing slice moves one by a third or more."""

_SAME_DIRECTION = 1e-3
_SAME_MILLIMETRES = 1e-3


@dataclass(frozen=True)
class SeriesGrid:
    """Where the voxels of a series lie.

    Attributes:
        series_uid: SeriesInstanceUID.
        frame_of_reference_uid: FrameOfReferenceUID; empty where the images name none, to which no segmentation can
            then be written.
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
    with _readable("series"):
        where = _one_series(headers)
    with _readable(where):
        return _grid(headers, where)


def _grid(headers: Sequence[Dataset], where: str) -> SeriesGrid:
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
    shape = spatial_shape((plane.columns, plane.rows, len(headers)), where=where)
    check_grid(RAS_TO_LPS @ lps, shape, where=where)
    grid = SeriesGrid(
        series_uid=str(headers[0].SeriesInstanceUID),
        frame_of_reference_uid=_frame_of_reference(headers, where),
        sop_instance_uids=tuple(uids[index] for index in order),
        shape=shape,
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
    """Read what the images among DICOM files hold beside their pixels, in the order of the files.

    What is no image, such as a DICOMDIR or a report, is left out and told in the log.

    Raises:
        InputError: a file is missing or no DICOM file, or none is an image.
    """
    headers = [header for header in map(_read_header, map(Path, files)) if _is_image(header)]
    if files and not headers:
        raise InputError(f"{Path(files[0]).parent}: holds no images; give a folder with the images of one DICOM series")
    return headers


def read_series(files: Sequence[Path]) -> tuple[Volume, SeriesGrid]:
    """Read a series of classic images, of any transfer syntax that GDCM decodes.

    Args:
        files: of all its images, in any order.

    Returns:
        Grey values as of `lib.dicom.series_pixels`, float32 on the grid, and the grid.

    Raises:
        InputError: as `read_headers`, `series_grid` and `lib.dicom.series_pixels.read_pixels`, and when there are NaN
            or infinite values.
    """
    headers = read_headers(files)
    grid = series_grid(headers)
    where = f"series {shown(grid.series_uid)}"
    with _readable(where):
        by_instance = {str(header.SOPInstanceUID): header for header in headers}
        ordered = [by_instance[uid] for uid in grid.sop_instance_uids]
        pixels = read_pixels([Path(header.filename) for header in ordered], ordered, where=where)
    _check_same_place(pixels, grid, where)
    if not np.isfinite(pixels.array).all():
        raise InputError(f"{where}: holds NaN or infinite grey values; send the series again with finite ones")
    return Volume(pixels.array, grid.affine), grid


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
        usual = Counter(str(header.get("SeriesInstanceUID") or "") for header in headers).most_common(1)[0][0]
        odd = next((header for header in headers if str(header.get("SeriesInstanceUID") or "") != usual), headers[0])
        raise InputError(
            f"series {shown(usual)}: its images name {len(uids)} series, {_named(odd)} the series "
            f"{shown(odd.get('SeriesInstanceUID'))}; give the images of one series"
        )
    where = f"series {shown(uids[0])}"
    for header in headers:
        if "SharedFunctionalGroupsSequence" in header or int(header.get("NumberOfFrames") or 1) > 1:
            raise InputError(
                f"{where}: holds multi-frame objects, which are not supported; send it as single-frame images"
            )
    return where


def _named(header: Dataset) -> str:
    """The file of an image, or what it is called on a PACS."""
    file = getattr(header, "filename", None)
    return Path(file).name if isinstance(file, str | Path) else f"image {shown(header.get('SOPInstanceUID'))}"


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
                f"{where}: {_named(header)} has no geometry, {keyword} holds "
                f"{np.count_nonzero(np.isfinite(row))} numbers, not {count}; send the series with its geometry"
            )
    return np.stack(rows)


def _value(header: Dataset, keyword: str) -> np.ndarray:
    """Numbers of an attribute; NaN or none where it is absent or holds something else."""
    try:
        return np.atleast_1d(np.asarray(header.get(keyword), dtype=np.float64))
    except (TypeError, ValueError):
        return np.empty(0)


def _frame_of_reference(headers: Sequence[Dataset], where: str) -> str:
    """The frame of all images that name one; empty where none does, as positions then have no other to differ from."""
    found = sorted({str(header.get("FrameOfReferenceUID") or "") for header in headers} - {""})
    if len(found) > 1:
        raise InputError(
            f"{where}: has {len(found)} frames of reference, such as {shown(found[0])} and {shown(found[-1])}; "
            "send the series with one for all images"
        )
    return found[0] if found else ""


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


@contextmanager
def _readable(where: str) -> Iterator[None]:
    """Say what is wrong with headers that cannot be read."""
    try:
        yield
    except (ProductError, MemoryError):
        raise
    except Exception as error:  # pydicom reads values as late as they are asked for, and raises whatever it meets
        reason = shown(error) or type(error).__name__
        raise InputError(f"{where}: its headers cannot be read ({reason}); send the series again") from error


def _read_header(file: Path) -> Dataset:
    try:
        with _readable(str(file)):
            check_unpacked_file(file)
            return pydicom.dcmread(file, stop_before_pixels=True)
    except InputError as error:
        if isinstance(error.__cause__, OSError):
            reason = error.__cause__.strerror
            raise InputError(f"{file}: cannot be read ({reason}); give DICOM files that are there") from error
        if isinstance(error.__cause__, pydicom.errors.InvalidDicomError):
            raise InputError(f"{file}: is no DICOM file; give the files of one series") from error
        raise


def _is_image(header: Dataset) -> bool:
    """Whether a file holds pixels: media bear a directory, and reports lie beside the images that they are of."""
    if "Rows" in header or "ImagePositionPatient" in header:
        return True
    with _readable(str(header.filename)):
        kind = UID(str(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or ""))
    if not kind.name or "Image" in kind.name or kind.name == kind:
        return True  # an image without its geometry, or nobody knows what: the grid says what is missing
    logger.warning("%s: is a %s, no image, and is left out", header.filename, kind.name)
    return False


def _check_same_place(pixels: Pixels, grid: SeriesGrid, where: str) -> None:
    """The decoder reads geometry by rules of its own; its pixels belong to our grid only where both agree."""
    lps = pixels.affine.copy()
    if grid.shape[2] == 1:  # ITK does not know how thick a single slice is
        lps[:3, 2] = (RAS_TO_LPS @ grid.affine)[:3, 2]
    size = pixels.array.shape
    if size != grid.shape or corner_distance(RAS_TO_LPS @ lps, grid.affine, grid.shape) > SAME_GRID:
        raise InputError(
            f"{where}: its attributes and its pixels disagree about the geometry, {grid.shape} voxels from "
            f"{grid.affine[:3, 3].tolist()} and {size}; send the series again"
        )
