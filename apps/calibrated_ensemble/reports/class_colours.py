"""The colour of each class, the same in viewers, in DICOM segmentations and in reports."""

from lib.task.task import Task

# Okabe and Ito's palette, told apart with any kind of colour vision; its black and grey vanish on scans.
_PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)


def class_colour(index: int) -> tuple[int, int, int]:
    """Red, green and blue, 0..255, of the class with an index, counted from 1; they repeat after seven."""
    return _PALETTE[(index - 1) % len(_PALETTE)]


def label_colours(task: Task) -> dict[str, tuple[int, int, int]]:
    """Red, green and blue, 0..255, of each class by its name."""
    return {name: class_colour(index) for index, name in enumerate(task.classes, 1)}
