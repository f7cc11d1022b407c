"""Voxels a second of `vote_patterns.count_patterns` against `numpy.bincount` on packed codes.

Run `python -m benchmarks.speed.pattern_counting` in the checkout. The members' masks are level sets of one
smooth random field, from sensitive to precise, as those of trained members are; the counts of both
ways must be equal. "pack + bincount" does the same work as `count_patterns`: it starts from the
members' segmentations. "bincount alone" is handed the packed codes and is the bound that packing all
voxels cannot pass.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from lib.calibration.statistics.vote_patterns import count_patterns

_CLASSES = 2


@dataclass(frozen=True)
class Case:
    """A made-up scan: its name, grid, and the fraction of its voxels that the label holds."""

    name: str
    grid: tuple[int, int, int]
    foreground: float


CASES = (
    Case("hippocampus crop", (35, 50, 35), 0.05),
    Case("CT, small lesions", (256, 256, 128), 0.005),
    Case("CT, large lesions", (256, 256, 128), 0.1),
)


def make_scan(case: Case, members: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Segmentations of the members, uint8 (K, *grid), and the label, uint8 grid, of a made-up scan."""
    generator = np.random.default_rng(seed)
    smooth = gaussian_filter(generator.standard_normal(case.grid, dtype=np.float32), 4)
    noise = gaussian_filter(generator.standard_normal(case.grid, dtype=np.float32), 1)
    seen = smooth / smooth.std() + 0.1 * noise / noise.std()

    def classes(field: np.ndarray, share: float) -> np.ndarray:
        outer, inner = np.quantile(field, [1 - share, 1 - share / 2])
        return (field > outer).astype(np.uint8) + (field > inner).astype(np.uint8)

    label = classes(smooth, case.foreground)
    sizes = np.geomspace(1.4, 0.7, members) * case.foreground
    return np.stack([classes(seen, size) for size in sizes]), label


def pack(segmentations: np.ndarray, label: np.ndarray) -> list[np.ndarray]:
    """Joint code of votes and label of every voxel, one array per class."""
    packed = []
    for class_index in range(1, _CLASSES + 1):
        codes = (label == class_index).ravel().astype(np.uint16) << np.uint16(len(segmentations))
        for bit, member in enumerate(segmentations):
            codes |= (member == class_index).ravel().astype(np.uint16) << np.uint16(bit)
        packed.append(codes)
    return packed


def histograms(packed: list[np.ndarray], members: int) -> np.ndarray:
    """Counts of the joint codes, shape (C, 2, 2**K): label background, label foreground."""
    return np.stack([np.bincount(codes, minlength=2 ** (members + 1)).reshape(2, -1) for codes in packed])


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def measure(case: Case, members: int, repeats: int, seed: int) -> tuple[float, float, float]:
    """Voxels a second of bincount alone, pack + bincount, and `count_patterns`, in this order."""
    segmentations, label = make_scan(case, members, seed)
    packed = pack(segmentations, label)
    expected = histograms(packed, members)
    counts = count_patterns(segmentations, label, class_count=_CLASSES)
    if not (np.array_equal(counts.voxels, expected.sum(axis=1)) and np.array_equal(counts.foreground, expected[:, 1])):
        raise SystemExit(f"{case.name}: count_patterns and numpy.bincount disagree")
    alone = seconds(lambda: histograms(packed, members), repeats)
    plain = seconds(lambda: histograms(pack(segmentations, label), members), repeats)
    ours = seconds(lambda: count_patterns(segmentations, label, class_count=_CLASSES), repeats)
    return label.size / alone, label.size / plain, label.size / ours


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Speed of counting vote patterns against numpy.bincount.")
    parser.add_argument("--members", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    print(f"million voxels a second, {arguments.members} members, {_CLASSES} classes")
    print(f"{'scan':<20}{'bincount alone':>16}{'pack + bincount':>17}{'count_patterns':>16}{'speed-up':>10}")
    for case in CASES:
        alone, plain, ours = measure(case, arguments.members, arguments.repeats, arguments.seed)
        print(f"{case.name:<20}{alone / 1e6:>16.0f}{plain / 1e6:>17.0f}{ours / 1e6:>16.0f}{ours / plain:>10.1f}")


if __name__ == "__main__":
    main()
