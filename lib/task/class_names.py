"""Which class of the task a name means: in a DICOM segmentation, in a label's header, and in what viewers submit.

Programs number segments each in their own way, 3D Slicer in the order in which they were drawn, so only names tell.
They are compared without regard to case (Unicode's case folding), surrounding blanks and Unicode's spelling of accents.
"""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from lib.errors import InputError
from lib.storage.file_names import composed, is_text

_BACKGROUND = "background"


def class_value(name: str, labels: Mapping[str, int], *, is_label_map: bool = False) -> int | None:
    """Find the task's value for a segment's name.

    Args:
        name: of the segment.
        labels: the task's classes, name to value.
        is_label_map: a label map may describe its background as a segment, whose value is 0.

    Returns:
        0..255; None when the segment is no class of the task.
    """
    values = {comparable(known): value for known, value in labels.items()}
    if is_label_map:
        values.setdefault(_BACKGROUND, 0)
    return values.get(comparable(name))


def named_values(
    names: Mapping[int, str], *, present: Collection[int], labels: Mapping[str, int], where: str
) -> dict[int, int]:
    """Find the task's value for each value of a label whose segments are named.

    Args:
        names: value in the label to name of the segment; those that are not drawn do not matter.
        present: foreground values that the label holds.
        labels: the task's classes, name to value.
        where: names the label in messages.

    Returns:
        Value in the label to value of the task, for all of `present`.

    Raises:
        InputError: a segment is no class of the task, or a value has no segment.
    """
    found = {}
    for value in sorted(present):
        if value not in names:
            raise InputError(f"{where}: holds the value {value}, which none of its segments has; save it again")
        named = class_value(names[value], labels)
        if named is None:
            known = " or ".join(labels)
            raise InputError(
                f"{where}: has the segment {names[value]!r}, which is no class of the task; name it {known}"
            )
        found[value] = named
    return found


def replace_values(label: np.ndarray, values: Mapping[int, int]) -> np.ndarray:
    """Give a uint8 label, of any shape, its new values; those not named stay."""
    table = np.arange(256, dtype=np.uint8)
    table[list(values)] = list(values.values())
    return table[label]


def class_names_fault(names: Iterable[str]) -> str | None:
    """Say what is wrong with the names of classes, and what would be right; None where nothing is.

    Segments are told apart by their names alone, without regard to case, surrounding blanks and Unicode's spelling,
    and what is none of the classes is called background.
    """
    found: dict[str, str] = {}
    for name in names:
        key = comparable(name)
        if not key:
            return f"the class name {name!r} is empty; give each class a name, such as tumour"
        if key == _BACKGROUND:
            return f"the class name {name!r} stands for value 0 and is no class; leave it out"
        if not is_text(name):
            return f"the class name {name!r} holds control characters or is no text; give a name such as tumour"
        if key in found:
            return f"the class names {found[key]!r} and {name!r} are the same but for case; give two names"
        found[key] = name
    return None


def comparable(name: str) -> str:
    """A name as it is compared."""
    return composed(name).strip().casefold()
