"""What an ensemble says of one scan, and how good that is expected to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from lib.images.nifti_forms import NiftiForms
from lib.images.volume import Volume
from lib.quality.estimated_dsc import class_volumes, estimated_dsc


@dataclass(frozen=True, eq=False)
class Prediction:
    """A segmentation and its heatmap, on the scan's own grid.

    Attributes:
        segmentation: class indices, uint8 (x, y, z), 0 background; what the annotator is shown.
        heatmap: probability of each class, float32 (C, x, y, z), 0..1.
        affine: of the scan, shape (4, 4), from voxel indices to RAS millimetres.
        generation: id of the generation that predicted.
        classes: names of the C classes, in the order of the heatmap's channels.
        typical_volumes: mean volume of each class in mm3 over the labelled scans that hold it, 0 where unknown.
        forms: of the scan, see `lib.images.volume.Volume`.
        is_nowhere: whether the region mask left no voxel to predict, so that nothing can be estimated.
        expected_dsc: DSC to expect of classes whose heatmap tells nothing of it, see `Generation.doubtful_classes`.
    """

    segmentation: np.ndarray = field(repr=False)
    heatmap: np.ndarray = field(repr=False)
    affine: np.ndarray = field(repr=False)
    generation: str
    classes: tuple[str, ...]
    typical_volumes: tuple[float, ...] = field(repr=False)
    forms: NiftiForms | None = field(repr=False, default=None)
    is_nowhere: bool = False
    expected_dsc: Mapping[str, float] = field(repr=False, default_factory=dict)

    def on_scan(self, array: np.ndarray) -> Volume:
        """Give an array, (x, y, z) or (channels, x, y, z), the place of the scan, to be written as a file."""
        return Volume(array, self.affine, self.forms)

    @cached_property
    def estimated_dsc(self) -> Mapping[str, float]:
        """DSC that the segmentation is expected to have, by class, 0..1; see `lib.quality.estimated_dsc`.

        It is `expected_dsc` where the heatmap tells nothing. Empty where `is_nowhere`.
        """
        if self.is_nowhere:
            return {}
        estimates = estimated_dsc(
            self.heatmap,
            self.segmentation,
            voxel_volume=self._voxel_volume,
            typical_volumes=self.typical_volumes,
        )
        return {**self._by_class(estimates), **self.expected_dsc}

    @property
    def mean_estimated_dsc(self) -> float | None:
        """Mean of the classes' estimated DSC, 0..1; None where nothing is estimated."""
        if not self.estimated_dsc:
            return None
        return sum(self.estimated_dsc.values()) / len(self.classes)

    @cached_property
    def volume_mm3(self) -> Mapping[str, float]:
        """Volume of the segmentation, by class."""
        volumes = class_volumes(self.segmentation, class_count=len(self.classes), voxel_volume=self._voxel_volume)
        return self._by_class(volumes)

    @cached_property
    def expected_volume_mm3(self) -> Mapping[str, float]:
        """Volume that the heatmap adds up to, by class."""
        sums = self.heatmap.sum(axis=(1, 2, 3), dtype=np.float64) * self._voxel_volume
        return self._by_class(sums.tolist())

    @property
    def foreground(self) -> np.ndarray:
        """Probability of any class, float32 (x, y, z), 0..1."""
        return any_class(self.heatmap)

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take."""
        return self.segmentation.nbytes + self.heatmap.nbytes

    @property
    def _voxel_volume(self) -> float:
        return Volume(self.segmentation, self.affine).voxel_volume

    def _by_class(self, values: Sequence[float]) -> dict[str, float]:
        return dict(zip(self.classes, values, strict=True))


def any_class(heatmap: np.ndarray) -> np.ndarray:
    """Probability of any class, (x, y, z), of a heatmap (C, x, y, z), whose classes exclude each other."""
    return np.minimum(heatmap.sum(axis=0), 1.0)
