"""Random training patches from prepared scans."""

from collections.abc import Sequence

import numpy as np
import torch
from monai.transforms import Compose
from torch.utils.data import Dataset

from lib.preprocessing.prepared_scans import PreparedScan
from lib.training.augmentation import IMAGE, LABEL, REGION, enlarged_size


class PatchDataset(Dataset[dict[str, torch.Tensor]]):
    """A fixed sequence of random patches: item i depends on the seed and on i alone.

    So the same run gives the same patches whatever the number of loading processes.

    Args:
        scans: where patches are cut from; every item draws a scan at random.
        augmentation: from `build_augmentation`.
        patch_size: voxels of the patches that come out.
        batch_size: the first patch of each batch is centred on a foreground voxel (paper,
            section 3.2); with a region, all others are centred inside it.
        batches: number of batches.
        seed: where the randomness comes from.
    """

    def __init__(
        self,
        scans: Sequence[PreparedScan],
        augmentation: Compose,
        *,
        patch_size: Sequence[int],
        batch_size: int,
        batches: int,
        seed: int,
    ):
        self._scans = scans
        self._with_foreground = [scan for scan in scans if len(scan.centres)] or list(scans)
        self._augmentation = augmentation
        self._patch_size = np.asarray(patch_size)
        self._size = np.asarray(enlarged_size(patch_size))
        self._batch_size = batch_size
        self._batches = batches
        self._seed = seed

    def __len__(self) -> int:
        return self._batches * self._batch_size

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Give patch `index`: IMAGE float32 (1, x, y, z), LABEL int64 and REGION bool (x, y, z)."""
        random = np.random.default_rng((self._seed, index))
        of_foreground = index % self._batch_size == 0
        scans = self._with_foreground if of_foreground else self._scans
        scan = scans[random.integers(len(scans))]
        start = self._choose_centre(scan, of_foreground, random) - self._size // 2
        patch = {
            IMAGE: torch.from_numpy(cut_box(scan.image, start, self._size)[None]),
            LABEL: torch.from_numpy(cut_box(scan.label, start, self._size)[None]),
            REGION: torch.from_numpy(self._cut_region(scan, start)[None]),
        }
        self._augmentation.set_random_state(seed=int(random.integers(2**31)))
        patch = self._augmentation(patch)
        return {
            IMAGE: patch[IMAGE].float(),
            LABEL: patch[LABEL][0].long(),
            REGION: patch[REGION][0] > 0.5,
        }

    def _choose_centre(self, scan: PreparedScan, of_foreground: bool, random: np.random.Generator) -> np.ndarray:
        if of_foreground and len(scan.centres):
            return scan.centres[random.integers(len(scan.centres))]
        if scan.region is not None and scan.region.any():
            inside = np.flatnonzero(scan.region)
            return np.stack(np.unravel_index(inside[random.integers(len(inside))], scan.region.shape))
        # Anywhere that keeps the patch inside the scan, up to its borders; in the middle where it is larger.
        shape = np.asarray(scan.image.shape)
        start = random.integers(0, np.maximum(shape - self._patch_size, 0) + 1)
        return np.where(shape > self._patch_size, start + self._patch_size // 2, shape // 2)

    def _cut_region(self, scan: PreparedScan, start: np.ndarray) -> np.ndarray:
        if scan.region is not None:
            return cut_box(scan.region, start, self._size).astype(np.float32)
        return np.ones(self._size, np.float32)


def cut_box(array: np.ndarray, start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Cut a box out of an array, with zeros where it reaches beyond.

    Args:
        array: shape (x, y, z).
        start: first voxel of the box; may be negative.
        size: voxels of the box along each axis.

    Returns:
        A new array of shape `size`.
    """
    box = np.zeros(tuple(size), array.dtype)
    low, high = np.maximum(start, 0), np.minimum(start + size, array.shape)
    if (high > low).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        target = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        box[target] = array[source]
    return box
