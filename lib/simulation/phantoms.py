"""Made-up CT scans whose voxels have a known probability of being lesion."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from lib.errors import InputError
from lib.images.files import write_volume
from lib.images.volume import Volume

SHAPE = (48, 48, 20)
"""Voxels of a phantom along left-right, posterior-anterior and inferior-superior."""

SPACING = (1.5, 1.5, 3.0)
"""Millimetres between the voxels of a phantom along the same axes."""

THRESHOLD = 26.0
"""Contrast in HU above which the reader marks lesion, when his error is zero."""

ERROR = 6.0
"""Standard deviation of the reader's error in HU."""

_FAT, _ORGAN, _DUCT = -90.0, 100.0, 5.0
_NOISE = 12.0
_BLUR = 2.0
_CONTRASTS = (27.0, 95.0)
# Correlation length of the reader's error: larger than a lesion's edge, so that he errs by pieces.
_ERROR_BLUR = 5.0


@dataclass(frozen=True)
class Phantom:
    """A made-up scan and everything that is known about it.

    Attributes:
        name: such as phantom_007.
        scan: grey values in HU, float32.
        label: 1 lesion, 0 otherwise, uint8.
        region: 1 inside the organ that holds the lesions, 0 outside, uint8.
        posterior: probability that a voxel's label is 1 given the scan, float32 in [0, 1].
        contrast: contrast of the scan's lesions against the organ in HU, before the blur.
    """

    name: str
    scan: Volume
    label: Volume
    region: Volume
    posterior: Volume
    contrast: float


@dataclass(frozen=True)
class PhantomFiles:
    """Files of one phantom, as `write_phantoms` wrote them."""

    name: str
    scan: Path
    label: Path
    region: Path
    posterior: Path


def make_phantom(index: int, *, seed: int = 0, orientation: str = "RAS", tilt: float = 0.0) -> Phantom:
    """Make phantom number `index` of the series `seed`; the same arguments give the same phantom.

    The scan: an organ in fat, with dark ducts and one to four bright lesions in it, whose edges are
    blurred, and Gaussian noise. The contrast of the lesions is a property of the scan, drawn
    between faint and plain, so that good and poor agreement is possible on the same task.

    The label: a reader sees the contrast of the scan after smoothing, c(x), and marks lesion
    wherever c(x) + e(x) exceeds `THRESHOLD`. His error e is a Gaussian random field with mean 0
    and standard deviation `ERROR`, smooth over some millimetres and drawn independently of the
    scan. Ducts are left out, since they can be told from their grey value.

    So the posterior is a fact of the construction and no estimate: given the scan, c(x) is known
    and only e is random, hence P(label(x) = 1 | scan) = Phi((c(x) - THRESHOLD) / ERROR) inside the
    organ and 0 outside it. Single voxels follow it exactly; neighbours err together, as readers
    do, so that one label shows fewer independent errors than it has voxels. What the posterior is
    not: the probability that a lesion was put there. No scan shows that, and no label says it.

    Args:
        index: number of the phantom.
        seed: number of the series.
        orientation: axis codes of the arrays, such as RAS or LPI; the anatomy stays where it is.
        tilt: degrees by which the whole patient is turned about an oblique axis.

    Raises:
        InputError: the orientation is none.
    """
    axes = _axes(orientation)
    rng = np.random.default_rng([seed, index])
    grid = [
        (np.arange(size) - (size - 1) / 2)[tuple(slice(None) if axis == i else None for i in range(3))] * step
        for axis, (size, step) in enumerate(zip(SHAPE, SPACING, strict=True))
    ]
    organ_centre = rng.uniform(-3, 3, 3)
    organ_radii = rng.uniform((24, 20, 21), (29, 26, 26))
    organ = _ellipsoid(grid, organ_centre, organ_radii) < 1

    contrast = float(np.exp(rng.uniform(*np.log(_CONTRASTS))))
    lesions = np.zeros(SHAPE)
    for _ in range(rng.integers(1, 5)):
        direction = rng.normal(size=3)
        place = organ_centre + direction / np.linalg.norm(direction) * organ_radii * rng.uniform(0, 0.6)
        radii = rng.uniform(4, 9) * rng.uniform(0.8, 1.25, 3)
        lesions = np.maximum(lesions, (_ellipsoid(grid, place, radii) < 1) * rng.uniform(0.85, 1.15))
    ducts = np.zeros(SHAPE, bool)
    for _ in range(2):
        place = organ_centre + rng.uniform(-0.5, 0.5, 3) * organ_radii
        slope = rng.uniform(-0.4, 0.4, 2)
        off_axis = np.hypot(
            grid[0] - place[0] - slope[0] * (grid[2] - place[2]), grid[1] - place[1] - slope[1] * (grid[2] - place[2])
        )
        ducts |= (off_axis < 2.2) & organ & (lesions == 0)

    inside = _smooth(np.where(ducts, _DUCT, _ORGAN + contrast * lesions), _BLUR / 2)
    # The organ's own edge stays sharp: blurred, it would look like a lesion all around.
    clean = np.where(organ, inside, _FAT)
    scan = (clean + rng.normal(scale=_NOISE, size=SHAPE)).round().astype(np.float32)

    posterior = _posterior(scan, organ)
    error = _smooth(rng.normal(size=SHAPE), _ERROR_BLUR, mode="wrap")
    # Every voxel of a periodic filter has the same standard deviation: the norm of its kernel.
    error /= _kernel_norm(_ERROR_BLUR)
    label = ndtr(-error) < posterior

    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = [float(axis.flat[0]) for axis in grid]
    affine = _turn(tilt) @ affine
    scan_volume, label_volume, region_volume, posterior_volume = (
        _reorient(array, affine, axes)
        for array in (scan, label.astype(np.uint8), organ.astype(np.uint8), posterior.astype(np.float32))
    )
    return Phantom(
        name=f"phantom_{index:03d}",
        scan=scan_volume,
        label=label_volume,
        region=region_volume,
        posterior=posterior_volume,
        contrast=contrast,
    )


def write_phantoms(
    folder: Path, count: int, *, seed: int = 0, orientations: Sequence[str] = ("RAS",), tilt: float = 0.0
) -> list[PhantomFiles]:
    """Write phantoms 0 to count - 1 as a Decathlon style folder; files that are there are kept.

    Scans go to `imagesTr`, labels to `labelsTr`, organ masks to `regionsTr` and posteriors to
    `posteriorsTr`, under the same name in all four.

    Args:
        folder: made when missing.
        count: number of phantoms.
        seed: number of the series.
        orientations: axis codes that the phantoms take in turn.
        tilt: see `make_phantom`.

    Raises:
        InputError: an orientation is none.
        StorageError: the folder cannot be written to.
    """
    written = []
    for index in range(count):
        orientation = orientations[index % len(orientations)]
        name = f"phantom_{index:03d}.nii.gz"
        paths = [Path(folder) / part / name for part in ("imagesTr", "labelsTr", "regionsTr", "posteriorsTr")]
        files = PhantomFiles(f"phantom_{index:03d}", *paths)
        if not all(path.is_file() for path in paths):
            phantom = make_phantom(index, seed=seed, orientation=orientation, tilt=tilt)
            for path, volume in zip(
                paths, (phantom.scan, phantom.label, phantom.region, phantom.posterior), strict=True
            ):
                write_volume(path, volume)
        written.append(files)
    return written


def _posterior(scan: np.ndarray, organ: np.ndarray) -> np.ndarray:
    """Probability of lesion given the scan, from its smoothed contrast (float64, shape of the scan)."""
    # What is no organ tissue tells nothing about the organ around it: fat and ducts take its grey value.
    tissue = np.where(organ & (scan > (_ORGAN + _DUCT) / 2), scan, _ORGAN)
    seen = _smooth(tissue.astype(np.float64), _BLUR) - _ORGAN
    return np.where(organ, ndtr((seen - THRESHOLD) / ERROR), 0.0)


def _ellipsoid(grid: list[np.ndarray], centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
    return sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radii, strict=True))


def _smooth(array: np.ndarray, millimetres: float, mode: str = "nearest") -> np.ndarray:
    return gaussian_filter(array, [millimetres / step for step in SPACING], mode=mode)


def _kernel_norm(millimetres: float) -> float:
    impulse = np.zeros(SHAPE)
    impulse[0, 0, 0] = 1.0
    return float(np.linalg.norm(_smooth(impulse, millimetres, mode="wrap")))


def _turn(degrees: float) -> np.ndarray:
    """Rotation about (1, 1, 1) by Rodrigues' formula, shape (4, 4)."""
    angle = np.radians(degrees)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.eye(4)
    turn[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn


def _axes(orientation: str) -> np.ndarray:
    try:
        axes = nib.orientations.axcodes2ornt(orientation)
        return nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), axes)
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(f"orientation {orientation!r}: is none; give three axis codes such as RAS or LPI") from error


def _reorient(array: np.ndarray, affine: np.ndarray, axes: np.ndarray) -> Volume:
    turned = nib.orientations.apply_orientation(array, axes)
    return Volume(
        np.ascontiguousarray(turned), affine @ nib.orientations.inv_ornt_aff(axes, array.shape).astype(np.float64)
    )
