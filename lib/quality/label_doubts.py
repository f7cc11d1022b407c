"""What a second look at a label is worth, and where: told at once to who drew it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import ndimage

UNLIKELY, LIKELY = 0.25, 0.7
"""Below the one, what is drawn is probably a false positive; above the other, what is missing a false negative."""

NOTICED_MM3 = 100.0
"""A tenth of a millilitre: doubts of less are not told, since borders are a matter of taste."""


@dataclass(frozen=True)
class LabelDoubt:
    """Voxels of a class that are probably wrong.

    Attributes:
        kind: what is wrong with them.
        class_name: the class.
        message: one line for who drew the label.
        volume_mm3: of all such voxels.
        voxel: indices (i, j, k) of one near the middle of the largest connected region of them.
    """

    kind: Literal["missing_class", "missed", "unexpected", "outside_region"]
    class_name: str
    message: str
    volume_mm3: float
    voxel: tuple[int, int, int]

    def described(self, affine: np.ndarray) -> dict[str, Any]:
        """Give it with the names and values that JSON has.

        Args:
            affine: shape (4, 4), from voxel indices to RAS millimetres.
        """
        x, y, z = (affine @ [*self.voxel, 1.0])[:3].tolist()
        return {
            "kind": self.kind,
            "class": self.class_name,
            "message": self.message,
            "volume_mm3": self.volume_mm3,
            "voxel": list(self.voxel),
            "lps_mm": [-x, -y, z],
        }


def label_doubts(
    label: np.ndarray, heatmap: np.ndarray, segmentation: np.ndarray, *, classes: Sequence[str], affine: np.ndarray
) -> list[LabelDoubt]:
    """Compare a label with what the model expects.

    Args:
        label: class indices 0..C, shape (x, y, z).
        heatmap: probability of each class, shape (C, x, y, z).
        segmentation: class indices 0..C of the prediction, shape (x, y, z).
        classes: C names.
        affine: shape (4, 4), from voxel indices to millimetres.

    Returns:
        The largest first; none of less than `NOTICED_MM3`.
    """
    voxel_volume = float(abs(np.linalg.det(affine[:3, :3])))
    doubts = []
    for index, (name, h) in enumerate(zip(classes, heatmap, strict=True), 1):
        drawn = label == index
        if not drawn.any():
            expected = (h > LIKELY) | (segmentation == index)
            message = f"{name}: is not in the label, and the model expects {{volume}} of it"
            doubts.append(_doubt("missing_class", name, message, expected, voxel_volume))
            continue
        missed = f"{name}: {{volume}} are not drawn where the model is sure of it (probability above {LIKELY})"
        doubts.append(_doubt("missed", name, missed, ~drawn & (h > LIKELY), voxel_volume))
        unexpected = f"{name}: {{volume}} are drawn where the model expects none (probability below {UNLIKELY})"
        doubts.append(_doubt("unexpected", name, unexpected, drawn & (h < UNLIKELY), voxel_volume))
    told = [doubt for doubt in doubts if doubt is not None and doubt.volume_mm3 >= NOTICED_MM3]
    return sorted(told, key=lambda doubt: -doubt.volume_mm3)


def outside_region(
    label: np.ndarray, region: np.ndarray, *, classes: Sequence[str], affine: np.ndarray, region_name: str
) -> list[LabelDoubt]:
    """Find what is drawn outside a region mask, where nothing is trained on or predicted.

    Args:
        label: class indices 0..C, shape (x, y, z).
        region: booleans, shape (x, y, z).
        classes: C names.
        affine: shape (4, 4), from voxel indices to millimetres.
        region_name: what the mask shows.

    Returns:
        One for each class with any voxel outside, however few.
    """
    voxel_volume = float(abs(np.linalg.det(affine[:3, :3])))
    found = []
    for index, name in enumerate(classes, 1):
        outside = (label == index) & ~region
        count = int(np.count_nonzero(outside))
        message = f"{name}: {count} voxels ({{volume}}) lie outside the mask {region_name} and do not count"
        found.append(_doubt("outside_region", name, message, outside, voxel_volume))
    return [doubt for doubt in found if doubt is not None]


def _doubt(
    kind: Literal["missing_class", "missed", "unexpected", "outside_region"],
    name: str,
    message: str,
    voxels: np.ndarray,
    voxel_volume: float,
) -> LabelDoubt | None:
    count = int(np.count_nonzero(voxels))
    if not count:
        return None
    volume = count * voxel_volume
    return LabelDoubt(kind, name, message.format(volume=_millilitres(volume)), volume, _middle(voxels))


def _millilitres(volume_mm3: float) -> str:
    return f"{volume_mm3 / 1000:.3g} ml"


def _middle(voxels: np.ndarray) -> tuple[int, int, int]:
    """The voxel nearest to the middle of the largest region of those that touch."""
    (box,) = ndimage.find_objects(voxels.astype(np.uint8))
    regions, _ = ndimage.label(voxels[box], structure=np.ones((3, 3, 3)))
    largest = int(np.bincount(regions.ravel())[1:].argmax()) + 1
    inside = np.argwhere(regions == largest)
    nearest = np.linalg.norm(inside - inside.mean(axis=0), axis=1).argmin()
    i, j, k = (inside[nearest] + [part.start for part in box]).tolist()
    return i, j, k
