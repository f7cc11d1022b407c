"""Counts of vote patterns: all that calibration keeps of a scan (Eq. 2 of the paper)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

MAX_MEMBERS = 15
"""A vote pattern and the label's own bit fit into 16 bits."""

# A quarter of a million voxels of eight members stay in the processor's cache between the passes.
_CHUNK = 1 << 18


@dataclass(frozen=True, eq=False)
class PatternCounts:
    """How often each vote pattern was seen, and how often the label was foreground there.

    Bit k of a pattern (its column) says whether member k votes for the class.

    Attributes:
        voxels: n_b, int64, shape (C, 2**K): voxels with the pattern, one row per foreground class.
        foreground: g_b, int64, shape (C, 2**K): how many of these the label gives to the class.

    Raises:
        ValueError: the arrays are not such counts.
    """

    voxels: np.ndarray
    foreground: np.ndarray

    def __post_init__(self) -> None:
        for name in ("voxels", "foreground"):
            counts = getattr(self, name)
            if counts.dtype != np.int64 or counts.ndim != 2 or counts.shape[0] < 1:
                raise ValueError(f"{name} are {counts.dtype} of shape {counts.shape}; give int64 (classes, 2**members)")
        patterns = self.voxels.shape[1]
        if self.voxels.shape != self.foreground.shape or patterns < 2 or patterns & (patterns - 1):
            raise ValueError(
                f"voxels have shape {self.voxels.shape}, foreground {self.foreground.shape}; "
                "give both the same (classes, 2**members)"
            )
        if (self.foreground < 0).any() or (self.foreground > self.voxels).any():
            raise ValueError("foreground counts must lie between 0 and the voxels of their pattern")

    @property
    def classes(self) -> int:
        """Number of foreground classes, C."""
        return int(self.voxels.shape[0])

    @property
    def members(self) -> int:
        """Number of members, K."""
        return int(self.voxels.shape[1]).bit_length() - 1

    @classmethod
    def zeros(cls, classes: int, members: int) -> Self:
        """Counts of no scan at all, to start a sum with."""
        _check_members(members)
        shape = (classes, 2**members)
        return cls(np.zeros(shape, np.int64), np.zeros(shape, np.int64))

    def __add__(self, other: "PatternCounts") -> "PatternCounts":
        if self.voxels.shape != other.voxels.shape:
            raise ValueError(
                f"counts of {self.classes} classes and {self.members} members cannot be added to counts of "
                f"{other.classes} classes and {other.members} members"
            )
        return PatternCounts(self.voxels + other.voxels, self.foreground + other.foreground)

    def __sub__(self, other: "PatternCounts") -> "PatternCounts":
        return PatternCounts(self.voxels - other.voxels, self.foreground - other.foreground)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for `numpy.savez`."""
        return {"voxels": self.voxels, "foreground": self.foreground}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Counts from what `to_arrays` gave.

        Raises:
            ValueError: an array is missing or is not such counts.
        """
        missing = {"voxels", "foreground"} - set(arrays)
        if missing:
            raise ValueError(f"pattern counts lack {' and '.join(sorted(missing))}")
        return cls(np.asarray(arrays["voxels"]), np.asarray(arrays["foreground"]))


def vote_codes(segmentations: np.ndarray, class_index: int) -> np.ndarray:
    """Pack the members' votes for one class into one number per voxel.

    Args:
        segmentations: class indices of K members, uint8, shape (K, *grid), K <= 15.
        class_index: the class voted on, 1..C.

    Returns:
        Vote patterns, uint16, shape grid; bit k is set where member k votes for the class.
    """
    _check_members(len(segmentations))
    codes = np.zeros(segmentations.shape[1:], np.uint16)
    for member in segmentations[::-1]:
        np.left_shift(codes, 1, out=codes)
        np.bitwise_or(codes, (member == class_index).view(np.uint8), out=codes)
    return codes


def count_patterns(
    segmentations: np.ndarray, label: np.ndarray, *, class_count: int, region: np.ndarray | None = None
) -> PatternCounts:
    """Count the vote patterns of one scan.

    Only voxels where some member differs from the label are packed into codes: where all agree the
    pattern is all ones for the label's class and all zeros for the others, and counting labels will do.

    Args:
        segmentations: class indices 0..C of K members, uint8, shape (K, *grid).
        label: class indices 0..C, uint8, shape grid.
        class_count: C.
        region: bool, shape grid; voxels where it is False are not counted. None counts all.

    Returns:
        The counts; add those of several scans up.

    Raises:
        ValueError: a shape does not fit, or a class index is above C.
        TypeError: a dtype is not the one asked for.
    """
    _check_scan(segmentations, label, class_count, region)
    members = len(segmentations)
    flat_members = segmentations.reshape(members, -1)
    flat_label = label.reshape(-1)
    flat_region = None if region is None else region.reshape(-1)
    counts = np.zeros((class_count, 2, 2**members), np.int64)
    for start in range(0, flat_label.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        inside = None if flat_region is None else flat_region[part]
        _count_chunk(counts, flat_members[:, part], flat_label[part], inside)
    return PatternCounts(voxels=counts.sum(axis=1), foreground=counts[:, 1].copy())


def _count_chunk(counts: np.ndarray, members: np.ndarray, label: np.ndarray, region: np.ndarray | None) -> None:
    """Add one chunk to `counts` of shape (C, 2, 2**K): background first, then foreground of the label."""
    differs = members[0] ^ label
    scratch = np.empty_like(differs)
    for member in members[1:]:
        np.bitwise_or(differs, np.bitwise_xor(member, label, out=scratch), out=differs)
    disputed = differs != 0
    if region is not None:
        disputed &= region
    total = label.size if region is None else int(np.count_nonzero(region))
    places = np.flatnonzero(disputed)
    some_members, some_label = members[:, places], label[places]
    if places.size and some_members.max() > len(counts):
        raise ValueError(f"segmentations hold class index {some_members.max()}; there are classes 0..{len(counts)}")
    for class_index, count in enumerate(counts, start=1):
        of_class = label == class_index
        if region is not None:
            of_class &= region
        some_of_class = some_label == class_index
        agreed = int(np.count_nonzero(of_class)) - int(np.count_nonzero(some_of_class))
        count[1, -1] += agreed
        count[0, 0] += total - places.size - agreed
        if places.size:
            codes = vote_codes(some_members, class_index)
            codes |= some_of_class.astype(np.uint16) << np.uint16(len(members))
            count += np.bincount(codes, minlength=count.size).reshape(count.shape)


def _check_members(members: int) -> None:
    if not 1 <= members <= MAX_MEMBERS:
        raise ValueError(f"{members} members vote; there must be 1 to {MAX_MEMBERS}")


def _check_scan(segmentations: np.ndarray, label: np.ndarray, class_count: int, region: np.ndarray | None) -> None:
    if class_count < 1:
        raise ValueError(f"class_count is {class_count}; there must be at least one foreground class")
    for name, array in (("segmentations", segmentations), ("label", label)):
        if array.dtype != np.uint8:
            raise TypeError(f"{name} are {array.dtype}; give uint8 class indices")
    _check_members(len(segmentations))
    if segmentations.shape[1:] != label.shape:
        raise ValueError(
            f"segmentations have shape {segmentations.shape}; a label of shape {label.shape} needs "
            f"(members, {', '.join(map(str, label.shape))})"
        )
    if region is not None:
        if region.dtype != np.bool_:
            raise TypeError(f"region is {region.dtype}; give bool, True where voxels count")
        if region.shape != label.shape:
            raise ValueError(f"region has shape {region.shape}; the label has {label.shape}")
    if label.size and label.max() > class_count:
        raise ValueError(f"label holds class index {label.max()}; there are classes 0..{class_count}")
