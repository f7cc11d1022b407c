"""Random changes of training patches, in the manner of nnU-Net."""

from collections.abc import Sequence
from math import ceil, pi

from monai.transforms import (
    Compose,
    EnsureTyped,
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

# An eighth of the patch on either side is enough for most rotations and scalings.
_MARGIN = 0.125


def enlarged_size(patch_size: Sequence[int]) -> tuple[int, int, int]:
    """Voxels to cut for a patch, so that rotation and scaling bring real voxels in from outside.

    They are as many on either side: half a voxel of difference would blur every patch.
    """
    x, y, z = (size + 2 * ceil(_MARGIN * size) for size in patch_size)
    return x, y, z


def build_augmentation(
    patch_size: Sequence[int], *, spacing: Sequence[float], strength: float, mirror_axes: Sequence[int]
) -> Compose:
    """Build the transform from an enlarged patch to a training patch.

    Args:
        patch_size: voxels of the patch that comes out; `enlarged_size` of it goes in.
        spacing: millimetres along each axis; rotation out of the plane of thick slices is restrained.
        strength: 0 cuts out the middle and changes nothing, 1 is nnU-Net's full augmentation.
        mirror_axes: axes that may be flipped, at any strength above 0.

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
            *(RandFlipd(keys, prob=0.5, spatial_axis=axis) for axis in mirror_axes if strength > 0),
            RandGaussianNoised(IMAGE, prob=0.15 * strength, std=0.3),
            RandGaussianSmoothd(
                IMAGE, prob=0.2 * strength, sigma_x=(0.5, 1.0), sigma_y=(0.5, 1.0), sigma_z=(0.25, 0.75)
            ),
            RandScaleIntensityd(IMAGE, factors=0.25, prob=0.2 * strength),
            RandSimulateLowResolutiond(IMAGE, prob=0.15 * strength, zoom_range=(0.5, 1.0)),
            RandAdjustContrastd(IMAGE, prob=0.3 * strength, gamma=(0.7, 1.5), retain_stats=True),
            # The network is a tenth slower on tensors that carry metadata.
            EnsureTyped(keys, track_meta=False),
        ]
    )


def _planes(spacing: Sequence[float]) -> list[tuple[float, float]]:
    x, y, z = spacing
    return [(y, z), (x, z), (x, y)]
