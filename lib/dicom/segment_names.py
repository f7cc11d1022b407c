"""Names of segments in a DICOM segmentation and in what viewers submit; `lib.task.class_names` compares them."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from pydicom import Dataset

from lib.errors import InputError
from lib.task.class_names import class_value, comparable, named_values

_STOPGAP = re.compile(r"|segment[ _-]*\d*")
"""What programs call a segment that nobody gave a name."""


def segment_name(segment: Dataset) -> str:
    """Name of an item of a SegmentSequence.

    It is the SegmentLabel; only where that is a stopgap such as "Segment 1" does the SegmentDescription count.
    """
    label = str(segment.get("SegmentLabel") or "")
    description = str(segment.get("SegmentDescription") or "")
    return description if description and _STOPGAP.fullmatch(comparable(label)) else label


def segment_values(
    segments: Collection[Dataset], *, labels: Mapping[str, int], is_label_map: bool, where: str
) -> dict[int, int]:
    """Find the task's value for each segment of a DICOM segmentation.

    Args:
        segments: items of the SegmentSequence.
        labels: the task's classes, name to value.
        is_label_map: whether segment numbers are pixel values; see `class_value`.
        where: names the segmentation in messages.

    Returns:
        Segment number to value of the task.

    Raises:
        InputError: a segment is no class of the task, or segments have no numbers of their own.
    """
    values: dict[int, int] = {}
    for segment in segments:
        number, name = segment.get("SegmentNumber"), segment_name(segment)
        if number is None or number in values:
            raise InputError(
                f"{where}: segment {name!r} has the number {number}; give each segment a number of its own"
            )
        value = class_value(name, labels, is_label_map=is_label_map)
        if value is None:
            raise InputError(
                f"{where}: has the segment {name!r}, which is no class of the task; name it {' or '.join(labels)}"
            )
        values[int(number)] = value
    return values


def values_by_name(label_info: Any, *, present: Collection[int], labels: Mapping[str, int]) -> dict[int, int]:
    """Find the task's value for each value of a submitted label.

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
        InputError: a segment has a name that is no class of the task, or an `idx` that is no number.
    """
    names = _names_by_value(label_info, set(present))
    if not names:
        return {}
    found = named_values(names, present=present, labels=labels, where="label_info")
    return {} if all(value == new for value, new in found.items()) else found


def _names_by_value(label_info: Any, present: set[int]) -> dict[int, str]:
    entries = label_info if isinstance(label_info, list) else []
    if not all(isinstance(entry, dict) and isinstance(entry.get("name"), str) for entry in entries):
        return {}
    for entry in entries:
        index = entry.get("idx")
        if index is not None and (isinstance(index, bool) or not isinstance(index, int | float)):
            shown = repr(index)[:50]
            raise InputError(f"label_info: segment {entry['name']!r} has the idx {shown}; give its value in the label")
    by_index = {entry.get("idx"): entry["name"] for entry in entries}
    by_place = {place: entry["name"] for place, entry in enumerate(entries, 1)}
    return next((names for names in (by_index, by_place) if present <= set(names)), {})
