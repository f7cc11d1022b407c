"""Which class a value of a submitted label means, by the segment names that viewers send with it."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from pydicom import Dataset

from lib.errors import InputError


def values_by_name(label_info: Any, *, present: Collection[int], labels: Mapping[str, int]) -> dict[int, int]:
    """Find the task's value for each value of a label.

    3D Slicer numbers segments in the order in which they were drawn, so that a label in which only
    the second class was drawn holds it as 1. The names tell.

    Args:
        label_info: `[{"name": "liver", "idx": 1}, ...]` as viewers send it. `idx` is the segment's
            value; where the label holds others (Slicer counts segments that it leaves out), the
            place in the list is, counted from 1. Anything else says nothing about values.
        present: foreground values that the label holds.
        labels: the task's classes, name to value.

    Returns:
        Value in the file to value of the task, for all of `present`; empty when `label_info` says
        nothing or the values are the task's already.

    Raises:
        InputError: a segment has a name that is no class of the task.
    """
    names = _names_by_value(label_info, set(present))
    known = {name.strip().lower(): value for name, value in labels.items()}
    found = {}
    for value in sorted(present if names else ()):
        name = names[value]
        if name.strip().lower() not in known:
            raise InputError(
                f"segment {name!r}: is no class of the task; name it {' or '.join(labels)} and submit again"
            )
        found[value] = known[name.strip().lower()]
    return {} if all(value == new for value, new in found.items()) else found


def replace_values(label: np.ndarray, values: Mapping[int, int]) -> np.ndarray:
    """Give a uint8 label, of any shape, its new values; those not named stay."""
    table = np.arange(256, dtype=np.uint8)
    table[list(values)] = list(values.values())
    return table[label]


def _names_by_value(label_info: Any, present: set[int]) -> dict[int, str]:
    entries = label_info if isinstance(label_info, list) else []
    if not all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries):
        return {}
    by_index = {entry.get("idx"): entry["name"] for entry in entries}
    by_place = {place: entry["name"] for place, entry in enumerate(entries, 1)}
    return next((names for names in (by_index, by_place) if present <= set(names)), {})


_NAMELESS = re.compile(r"|segment[ _-]*\d*")
"""What programs call a segment that nobody gave a name."""


def segment_values(
    segments: list[Dataset], *, labels: Mapping[str, int], is_label_map: bool, where: str
) -> dict[int, int]:
    """Find the task's value for each segment.

    The SegmentLabel is compared without regard to case and surrounding blanks. Only where it is a
    stopgap such as "Segment 1" does the SegmentDescription count. A label map may describe its
    background as a segment, whose value is 0 here.

    Args:
        segments: items of the SegmentSequence.
        labels: the task's classes, name to value.
        is_label_map: whether segment numbers are pixel values.
        where: names the segmentation in messages.

    Returns:
        Segment number to value of the task.

    Raises:
        InputError: a segment is no class of the task, or segments have no numbers of their own.
    """
    known = {_plain(name): value for name, value in labels.items()}
    if is_label_map and "background" not in known:
        known["background"] = 0
    values: dict[int, int] = {}
    for segment in segments:
        number, name = segment.get("SegmentNumber"), _name(segment)
        if number is None or number in values:
            raise InputError(
                f"{where}: segment {name!r} has the number {number}; give each segment a number of its own"
            )
        if _plain(name) not in known:
            raise InputError(
                f"{where}: has the segment {name!r}, which is no class of the task; name it {' or '.join(labels)}"
            )
        values[int(number)] = known[_plain(name)]
    return values


def _name(segment: Dataset) -> str:
    label = str(segment.get("SegmentLabel") or "")
    description = str(segment.get("SegmentDescription") or "")
    return description if description and _NAMELESS.fullmatch(_plain(label)) else label


def _plain(name: str) -> str:
    return name.strip().casefold()
