"""From a scan as it was stored to the network's input, and back onto the scan's own grid."""

import math

import nibabel as nib
import numpy as np
import torch
from monai.data import MetaTensor

from lib.errors import InputError
from lib.images.volume import Grid, Volume, check_same_grid
from lib.preprocessing.intensity import normalised
from lib.preprocessing.plan import Plan
from lib.preprocessing.resampling import reorient, resample, resampled_grid

# Thick slices of fine pixels become some ten times as many voxels.
_GROWTH = 64
_ANY_MACHINE = 1 << 22
"""Voxels that are never too many."""


class Preprocessor:
    """Orientation to RAS, intensity, resampling, and the way back.

    Volumes on the same grid come out on the same preprocessed grid. Axes follow the closest
    anatomical direction, so oblique scans keep their obliqueness and are never rotated.
    """

    def __init__(self, plan: Plan) -> None:
        """Set up for a plan."""
        self.plan = plan

    def apply_to_scan(self, volume: Volume) -> MetaTensor:
        """Preprocess a scan.

        Args:
            volume: finite grey values, shape (x, y, z), any orientation and spacing.

        Returns:
            float32, shape (1, x', y', z'), axes in RAS order; `.affine` places it in the world,
            and its `meta` remembers the grid that `invert` goes back to.

        Raises:
            InputError: its voxels are so large that there would be far more of them at the plan's spacing.
        """
        grey = normalised(volume.array, self.plan.intensity)
        tensor = self._to_grid(grey, volume.affine, mode="bilinear")
        tensor.meta["original_affine"] = np.array(volume.affine, dtype=np.float64)
        tensor.meta["spatial_shape"] = np.array(volume.shape)
        return tensor

    def apply_to_label(self, volume: Volume, like: MetaTensor) -> torch.Tensor:
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
        check_same_grid(volume, Grid((x, y, z), affine), where="label")
        # The scan's affine rather than the label's own, which may differ by rounding in its header.
        return self._to_grid(volume.array, affine, mode="nearest").as_tensor()[0].to(torch.uint8)

    def apply_to_region(self, volume: Volume, like: MetaTensor) -> torch.Tensor:
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
        return self.apply_to_label(inside, like).bool()

    def inverse(self, array: torch.Tensor | np.ndarray, like: MetaTensor, *, nearest: bool = False) -> np.ndarray:
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
        resampled = resample(
            channels, source, oriented_affine, oriented_shape, mode="nearest" if nearest else "bilinear"
        )
        if channels.numel():
            # Interpolation weights add up to 1 only up to rounding.
            resampled = resampled.clamp(channels.min(), channels.max())
        back = nib.orientations.ornt_transform(np.array([[0, 1], [1, 1], [2, 1]]), orientation)
        return np.stack([reorient(channel, back) for channel in resampled.numpy()])

    def _to_grid(self, array: np.ndarray, affine: np.ndarray, *, mode: str) -> MetaTensor:
        orientation = nib.io_orientation(affine)
        oriented = reorient(array, orientation)
        oriented_affine = affine @ nib.orientations.inv_ornt_aff(orientation, array.shape)
        target_affine, target_shape = resampled_grid(oriented_affine, oriented.shape, self.plan.spacing)
        _check_growth(oriented_affine, oriented.shape, target_shape)
        channels = torch.from_numpy(oriented.astype(np.float32, copy=False))[None]
        return MetaTensor(
            resample(channels, oriented_affine, target_affine, target_shape, mode=mode),
            affine=torch.from_numpy(target_affine),
        )


def _check_growth(affine: np.ndarray, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    """Refuse a scan whose preprocessed grid would be out of all proportion to it, before memory is taken for that."""
    if math.prod(target) > max(_GROWTH * math.prod(shape), _ANY_MACHINE):
        sizes, wanted = (" x ".join(f"{value:g}" for value in values) for values in (_rounded(affine), target))
        raise InputError(
            f"the scan's voxels of {sizes} mm would become {wanted} voxels at the spacing of the model; "
            "give a header whose sizes are in millimetres, or one that names their unit"
        )


def _rounded(affine: np.ndarray) -> np.ndarray:
    return np.linalg.norm(affine[:3, :3], axis=0).round(3)
