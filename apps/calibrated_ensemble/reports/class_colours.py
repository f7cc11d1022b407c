"""The colour in which viewers show each class."""

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


def label_colours(task: Task) -> dict[str, tuple[int, int, int]]:
    """Red, green and blue, 0..255, of each class; they repeat after seven."""
    return {name: _PALETTE[index % len(_PALETTE)] for index, name in enumerate(task.classes)}
