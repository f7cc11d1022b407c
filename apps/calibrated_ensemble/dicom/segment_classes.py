"""Which class of the task a segment of a DICOM segmentation is, by its name."""

import re
from collections.abc import Mapping

from pydicom import Dataset

from lib.errors import InputError

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
