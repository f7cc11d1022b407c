"""Random changes of training patches, in the manner of nnU-Net."""

from collections.abc import Sequence
from math import pi

from monai.transforms import (
    Compose,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandSimulateLowResolutiond,
)

IMAGE, LABEL, REGION = "image", "label", "region"
"""Keys of a training patch."""

ENLARGEMENT = 1.25
"""Patches are cut larger by this factor, so that rotation and scaling bring real voxels in from outside."""


def build_augmentation(
    patch_size: Sequence[int], *, spacing: Sequence[float], strength: float, mirror_axes: Sequence[int]
) -> Compose:
    """Build the transform from an enlarged patch to a training patch.

    Args:
        patch_size: voxels of the patch that comes out.
        spacing: millimetres along each axis; rotation out of the plane of thick slices is restrained.
        strength: 0 changes nothing but the size, 1 is nnU-Net's full augmentation.
        mirror_axes: axes that may be flipped.

    Returns:
        A transform of dictionaries with IMAGE (1, x, y, z), LABEL (1, x, y, z) and REGION
        (1, x, y, z), seeded by its `set_random_state`.
    """
    keys = (IMAGE, LABEL, REGION)
    in_plane = pi / 6 * strength
    # A rotation that tilts thick slices mixes tissue that lies centimetres apart.
    tilts = [in_plane * min(1.0, 2 * min(a, b) / max(a, b) - 0.5) for a, b in _planes(spacing)]
    return Compose(
        [
            RandAffined(
                keys,
                prob=0.4 * strength,
                spatial_size=tuple(patch_size),
                rotate_range=[max(tilt, 0.0) for tilt in tilts],
                scale_range=[0.2 * strength] * 3,
                mode=("bilinear", "nearest", "nearest"),
                padding_mode="zeros",
            ),
            *(RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in mirror_axes),
            RandGaussianNoised(IMAGE, prob=0.15 * strength, std=0.3),
            RandGaussianSmoothd(
                IMAGE, prob=0.2 * strength, sigma_x=(0.5, 1.0), sigma_y=(0.5, 1.0), sigma_z=(0.25, 0.75)
            ),
            RandScaleIntensityd(IMAGE, factors=0.25, prob=0.2 * strength),
            RandSimulateLowResolutiond(IMAGE, prob=0.15 * strength, zoom_range=(0.5, 1.0)),
            RandAdjustContrastd(IMAGE, prob=0.3 * strength, gamma=(0.7, 1.5), retain_stats=True),
        ]
    )


def _planes(spacing: Sequence[float]) -> list[tuple[float, float]]:
    x, y, z = spacing
    return [(y, z), (x, z), (x, y)]
