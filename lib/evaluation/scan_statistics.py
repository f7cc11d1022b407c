"""What is kept of a scan: counts and figures instead of voxels."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from lib.calibration.member_outputs import MemberOutputs
from lib.calibration.statistics.probability_counts import ReliabilityCounts, count_probabilities
from lib.evaluation.compared_heatmaps import ComparedHeatmap, Comparison, all_votes
from lib.images.region import inside_region
from lib.images.volume import Volume
from lib.metrics.dice import dice_beside_estimate
from lib.models.ensemble import Ensemble
from lib.models.kinds.method import Method
from lib.models.prediction import any_class
from lib.quality.disagreement import mean_entropy, mean_pairwise_dice
from lib.quality.estimated_dsc import estimated_dsc

TRUTH, UNION, UNION_TRUE, INTERSECTION, INTERSECTION_TRUE = range(5)
"""Columns of `ScanStatistics.votes`."""

PAIRWISE_DICE, ENTROPY = "pairwise_dice", "entropy"
"""Names of what needs no heatmap; the entropy grows where the DSC falls."""

ON_SERVED = "_on_served"
"""Added to the name of a baseline's heatmap where that judges the served prediction instead of the baseline's own."""


@dataclass(frozen=True)
class Truth:
    """A scan with what is known about it, all on one grid.

    Attributes:
        scan: grey values, float32 (x, y, z).
        label: class indices, uint8 (x, y, z), 0 outside the region.
        region: mask outside which nothing counts; None where the whole scan does.
    """

    scan: Volume
    label: np.ndarray
    region: Volume | None


@dataclass(frozen=True)
class ShownSlice:
    """The axial slice of a scan in which the served heatmap holds most; arrays have shape (x, y, 1), in RAS order.

    Attributes:
        scan: grey values, with the affine of all arrays here.
        segmentation: class indices of the served prediction, uint8.
        label: class indices, uint8.
        heatmaps: by name, the served one first: probability of any class, float32.
    """

    scan: Volume
    segmentation: np.ndarray
    label: np.ndarray
    heatmaps: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class ScanStatistics:
    """All that is kept of one scan.

    Attributes:
        true_dsc: for each method, DSC of the prediction that its generation serves, 0..1, shape (C,); 1 where a
            class is in neither, as estimates count it.
        reliability: for each heatmap and class, the voxels where any member of the served generation
            votes for the class; the same voxels for all heatmaps.
        votes: for each heatmap, voxels of the label, of the union and the intersection of its members,
            and how many of these two are in the label: int64 (C, 5).
        estimates: for each heatmap the estimated DSC of its generation's prediction, and with `ON_SERVED` that
            of the served one; `PAIRWISE_DICE` and `ENTROPY` of the served generation: shape (C,).
        seconds: for each heatmap, from the scan to the heatmap on its grid.
        shown: a slice for pictures.
    """

    true_dsc: dict[str, np.ndarray]
    reliability: dict[str, tuple[ReliabilityCounts, ...]]
    votes: dict[str, np.ndarray]
    estimates: dict[str, np.ndarray]
    seconds: dict[str, float]
    shown: ShownSlice


@dataclass(frozen=True)
class _Run:
    """Members of one generation after their run over one scan.

    Attributes:
        outputs: on the network's grid.
        segmentation: what is served, class indices, uint8 (x, y, z) on the grid of the scan.
        back: brings channels from the network's grid to that of the scan; 0 outside the region.
        prepared: seconds until the networks ran.
        network: seconds of one network.
    """

    outputs: MemberOutputs
    segmentation: np.ndarray
    back: Callable[..., np.ndarray]
    prepared: float
    network: float


def reduce_scan(ensembles: Mapping[Method, Ensemble], comparison: Comparison, truth: Truth) -> ScanStatistics:
    """Predict a scan with every generation, each once, and compare with its label.

    The time of the networks is shared out by their number: a heatmap of 3 of 21 members is charged
    a seventh of it.

    Args:
        ensembles: by method; all of `comparison.generations`, or parts of them.
        comparison: what to make of their outputs.
        truth: the scan.
    """
    typical_volumes = comparison.served.typical_volumes
    classes = len(typical_volumes)
    of_class = [truth.label == index for index in range(1, classes + 1)]
    voxel_volume = truth.scan.voxel_volume
    true_dsc: dict[str, np.ndarray] = {}
    estimates: dict[str, np.ndarray] = {}
    reliability, votes, seconds, slices = {}, {}, {}, {}
    cut: _AxialCut | None = None
    for method, ensemble in ensembles.items():
        run = _run_members(ensemble, comparison.made_by(method), truth)
        true_dsc[method] = dice_beside_estimate(run.segmentation, truth.label, class_count=classes)
        is_served = method is comparison.served.method
        if is_served:
            voted = run.back(_union(all_votes(run.outputs), classes), nearest=True) > 0
            served = run.segmentation
            estimates |= _disagreement(run.outputs, classes)
        sources = {compared.votes for compared in comparison.made_by(method)}
        counted = {source: _count_votes(source(run.outputs), run, of_class) for source in sources}
        for compared in comparison.made_by(method):
            name = compared.name
            start = time.perf_counter()
            heatmap = np.clip(run.back(compared.probabilities(run.outputs)), 0, 1)
            seconds[name] = run.prepared + compared.networks * run.network + time.perf_counter() - start
            reliability[name] = tuple(
                count_probabilities(h[where], is_true[where])
                for h, where, is_true in zip(heatmap, voted, of_class, strict=True)
            )
            votes[name] = counted[compared.votes]
            judged = {name: run.segmentation}
            if not is_served:
                judged[name + ON_SERVED] = served
            for estimate, segmentation in judged.items():
                estimates[estimate] = np.array(
                    estimated_dsc(heatmap, segmentation, voxel_volume=voxel_volume, typical_volumes=typical_volumes)
                )
            foreground = any_class(heatmap)
            cut = cut or _AxialCut(foreground, truth.scan.affine)
            slices[name] = cut(foreground)
    assert cut is not None  # the served heatmap is always compared
    scan = Volume(cut(truth.scan.array), cut.affine)
    shown = ShownSlice(scan, cut(served), cut(truth.label), slices)
    return ScanStatistics(true_dsc, reliability, votes, estimates, seconds, shown)


class _AxialCut:
    """Cuts arrays at the level where a map holds most: shape (x, y, 1), in RAS order."""

    def __init__(self, densest: np.ndarray, affine: np.ndarray):
        self._grid = affine
        heat = self._turned(densest).get_fdata().sum(axis=(0, 1))
        self._level = int(heat.argmax()) if heat.any() else len(heat) // 2
        self.affine = self._slab(densest).affine

    def __call__(self, array: np.ndarray) -> np.ndarray:
        return np.asanyarray(self._slab(array).dataobj)

    def _slab(self, array: np.ndarray) -> nib.Nifti1Image:
        return self._turned(array).slicer[:, :, self._level : self._level + 1]

    def _turned(self, array: np.ndarray) -> nib.Nifti1Image:
        return nib.as_closest_canonical(nib.Nifti1Image(array, self._grid))


def _run_members(ensemble: Ensemble, heatmaps: Sequence[ComparedHeatmap], truth: Truth) -> _Run:
    preprocessing = ensemble.preprocessing
    start = time.perf_counter()
    image = preprocessing.apply_to_scan(truth.scan)
    prepared = time.perf_counter() - start
    outputs = ensemble.run_members(image, [one.calibration for one in heatmaps if one.calibration is not None])
    network = (time.perf_counter() - start - prepared) / sum(map(len, ensemble.members))
    mask = None if truth.region is None else truth.region.array

    def back(channels: np.ndarray, *, nearest: bool = False) -> np.ndarray:
        return inside_region(preprocessing.inverse(channels, like=image, nearest=nearest), mask)

    segmentation = inside_region(ensemble.segment(outputs, image), mask)
    return _Run(outputs, segmentation, back, prepared, network)


def _count_votes(members: np.ndarray, run: _Run, of_class: Sequence[np.ndarray]) -> np.ndarray:
    """Columns `TRUTH` to `INTERSECTION_TRUE` of each class, int64 (C, 5), of class indices (members, x, y, z)."""
    union, intersection = (
        run.back(masks, nearest=True) > 0
        for masks in (_union(members, len(of_class)), _intersection(members, len(of_class)))
    )
    return np.array(
        [
            [np.count_nonzero(mask) for mask in (t, u, u & t, i, i & t)]
            for t, u, i in zip(of_class, union, intersection, strict=True)
        ]
    )


def _union(members: np.ndarray, classes: int) -> np.ndarray:
    return np.stack([(members == index).any(axis=0) for index in range(1, classes + 1)])


def _intersection(members: np.ndarray, classes: int) -> np.ndarray:
    return np.stack([(members == index).all(axis=0) for index in range(1, classes + 1)])


def _disagreement(outputs: MemberOutputs, classes: int) -> dict[str, np.ndarray]:
    """What is measured on the network's grid, where the members answered."""
    return {
        PAIRWISE_DICE: mean_pairwise_dice(all_votes(outputs), class_count=classes),
        ENTROPY: mean_entropy(outputs.mean_softmax[1:]),
    }
