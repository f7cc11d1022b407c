"""From a scan as it was stored to the network's input, and back onto the scan's own grid."""

import math

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import SpatialResample

from lib.plan import FixedWindow, PerScan, Plan
from lib.volume import Volume, check_same_grid

# Resampling for less than a hundredth would blur for nothing: augmentation scales by more.
_SPACING_TOLERANCE = 0.01
# MONAI takes affines for equal below this, in millimetres, and would skip such a resampling silently.
_AFFINE_TOLERANCE = 1e-3


class Preprocessing:
    """Orientation to RAS, intensity, resampling, and the way back.

    Volumes on the same grid come out on the same preprocessed grid. Axes follow the closest
    anatomical direction, so oblique scans keep their obliqueness and are never rotated.
    """

    def __init__(self, plan: Plan) -> None:
        """Set up for a plan."""
        self.plan = plan

    def scan(self, volume: Volume) -> MetaTensor:
        """Preprocess a scan.

        Args:
            volume: finite grey values, shape (x, y, z), any orientation and spacing.

        Returns:
            float32, shape (1, x', y', z'), axes in RAS order; `.affine` places it in the world,
            and its `meta` remembers the grid that `invert` goes back to.
        """
        grey = normalised(volume.array, self.plan.intensity)
        tensor = self._to_grid(grey, volume.affine, mode="bilinear")
        tensor.meta["original_affine"] = np.array(volume.affine, dtype=np.float64)
        tensor.meta["spatial_shape"] = np.array(volume.shape)
        return tensor

    def label(self, volume: Volume, like: MetaTensor) -> torch.Tensor:
        """Bring class indices onto the preprocessed grid of their scan.

        Args:
            volume: class indices, uint8, shape (x, y, z), on the grid of the scan.
            like: the scan, from `scan`.

        Returns:
            uint8, shape (x', y', z'); nearest neighbour, so no new values appear.

        Raises:
            InputError: the label lies on another grid than the scan.
        """
        affine = like.meta["original_affine"]
        x, y, z = like.meta["spatial_shape"].tolist()
        grid = Volume(np.broadcast_to(np.uint8(0), (x, y, z)), affine)
        check_same_grid(volume, grid, where="label")
        # The scan's affine rather than the label's own, which may differ by rounding in its header.
        return self._to_grid(volume.array, affine, mode="nearest").as_tensor()[0].to(torch.uint8)

    def region(self, volume: Volume, like: MetaTensor) -> torch.Tensor:
        """Bring a region mask onto the preprocessed grid of its scan.

        Args:
            volume: mask, inside where it is not 0, shape (x, y, z), on the grid of the scan.
            like: the scan, from `scan`.

        Returns:
            bool, shape (x', y', z').

        Raises:
            InputError: the mask lies on another grid than the scan.
        """
        inside = Volume((volume.array != 0).astype(np.uint8), volume.affine)
        return self.label(inside, like).bool()

    def invert(self, array: torch.Tensor | np.ndarray, like: MetaTensor, *, nearest: bool = False) -> np.ndarray:
        """Bring channels from the preprocessed grid back onto the scan's own.

        Args:
            array: shape (C, x', y', z'), on the grid of `like`.
            like: the preprocessed scan, from `scan`.
            nearest: nearest neighbour, for class indices; otherwise linear, which keeps values
                between the smallest and the largest of the array.

        Returns:
            float32, shape (C, x, y, z), exactly the voxels of the scan.
        """
        channels = torch.as_tensor(array).detach().to("cpu", torch.float32)
        if isinstance(channels, MetaTensor):
            channels = channels.as_tensor()
        if tuple(channels.shape[1:]) != tuple(like.shape[1:]):
            raise ValueError(f"array has shape {tuple(channels.shape)}, the preprocessed scan {tuple(like.shape)}")
        original = like.meta["original_affine"]
        shape = tuple(like.meta["spatial_shape"].tolist())
        orientation = nib.io_orientation(original)
        axes = np.argsort(orientation[:, 0])
        oriented_shape = tuple(shape[axis] for axis in axes)
        oriented_affine = original @ nib.orientations.inv_ornt_aff(orientation, shape)
        source = like.affine.cpu().numpy().astype(np.float64)
        resampled = _resampled(
            channels, source, oriented_affine, oriented_shape, mode="nearest" if nearest else "bilinear"
        )
        if channels.numel():
            # Interpolation weights add up to 1 only up to rounding.
            resampled = resampled.clamp(channels.min(), channels.max())
        back = nib.orientations.ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), orientation)
        return np.stack([_reoriented(channel, back) for channel in resampled.numpy()])

    def _to_grid(self, array: np.ndarray, affine: np.ndarray, *, mode: str) -> MetaTensor:
        orientation = nib.io_orientation(affine)
        oriented = _reoriented(array, orientation)
        oriented_affine = affine @ nib.orientations.inv_ornt_aff(orientation, array.shape)
        target_affine, target_shape = resampled_grid(oriented_affine, oriented.shape, self.plan.spacing)
        channels = torch.from_numpy(oriented.astype(np.float32, copy=False))[None]
        return MetaTensor(
            _resampled(channels, oriented_affine, target_affine, target_shape, mode=mode),
            affine=torch.from_numpy(target_affine),
        )


def normalised(array: np.ndarray, intensity: FixedWindow | PerScan) -> np.ndarray:
    """Clip grey values and bring them to mean 0 and standard deviation 1 (paper, section 3.2).

    Args:
        array: finite grey values, any shape.
        intensity: the window and z-score for all scans, or the percentiles for each by itself.

    Returns:
        float32, same shape. A constant scan becomes 0 everywhere under `PerScan`.
    """
    if isinstance(intensity, FixedWindow):
        clipped = np.clip(array.astype(np.float64), intensity.low, intensity.high)
        return ((clipped - intensity.mean) / intensity.sd).astype(np.float32)
    low, high = np.percentile(array, intensity.percentiles).astype(np.float64)
    if low == high:
        # Nearly all voxels are equal, black for instance: what differs is the content.
        low, high = float(array.min()), float(array.max())
    if low == high:
        return np.zeros(array.shape, dtype=np.float32)
    # Relative to the window, so that no square leaves the range of the numbers.
    clipped = (np.clip(array.astype(np.float64), low, high) - low) / (high - low)
    return ((clipped - clipped.mean()) / clipped.std()).astype(np.float32)


def resampled_grid(
    affine: np.ndarray, shape: tuple[int, ...], spacing: tuple[float, float, float]
) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Grid with a target spacing over the same part of the world, centred on the same point.

    Args:
        affine: (4, 4), voxel indices to millimetres.
        shape: voxels along each axis.
        spacing: target, in millimetres, for each axis of the array.

    Returns:
        Affine (4, 4) and shape of the grid. Axes whose spacing is within one per cent of the
        target are kept as they are.
    """
    present = np.linalg.norm(affine[:3, :3], axis=0)
    target = np.array(spacing, dtype=np.float64)
    near = np.abs(present - target) <= np.maximum(_SPACING_TOLERANCE * target, _AFFINE_TOLERANCE)
    scale = np.where(near, 1.0, target / present)
    last = np.array(shape) - 1
    x, y, z = (math.floor(length + 0.5) + 1 for length in last / scale)
    # Half of what is left over goes to either end.
    first = (last - (np.array([x, y, z]) - 1) * scale) / 2
    change = np.diag([*scale, 1.0])
    change[:3, 3] = first
    return affine @ change, (x, y, z)


def _resampled(
    channels: torch.Tensor,
    source: np.ndarray,
    target: np.ndarray,
    shape: tuple[int, ...],
    *,
    mode: str,
) -> torch.Tensor:
    """Resample (C, x, y, z) from one affine to another; untouched when they are the same grid."""
    if tuple(channels.shape[1:]) == tuple(shape) and np.allclose(source, target, rtol=1e-9, atol=1e-9):
        return channels
    resample = SpatialResample(mode=mode, padding_mode="border", align_corners=False, dtype=torch.float32)
    image = MetaTensor(channels, affine=torch.from_numpy(source))
    return resample(image, dst_affine=torch.from_numpy(target), spatial_size=shape).as_tensor()


def _reoriented(array: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    # A copy, since an axis of one voxel may keep a negative stride, which torch refuses.
    return nib.orientations.apply_orientation(array, orientation).copy()
