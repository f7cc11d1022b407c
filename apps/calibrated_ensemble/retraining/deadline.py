"""Ending in time, at a point from which the next night goes on."""

import time
from collections.abc import Callable

from lib.progress import Progress


class OutOfTimeError(Exception):
    """The time that a night was given is over; what is finished is kept."""


class Deadline:
    """Hands progress on, and ends the work at its next step once the time is over.

    Finished stages of networks, evaluations and scores are kept by whoever made them; the stage that was
    in training is trained again the next night.

    Args:
        progress: told of the work.
        hours: how long it may take; None for as long as it takes.
        clock: seconds that never go back.
    """

    def __init__(self, progress: Progress, hours: float | None, *, clock: Callable[[], float] = time.monotonic):
        self._progress = progress
        self._clock = clock
        self._end = None if hours is None else clock() + 3600 * hours

    def __call__(self, stage: str, done: int, total: int, /, **figures: float) -> None:
        """Report progress, see `lib.progress.Progress`.

        Raises:
            OutOfTimeError: the time is over, and the stage is not finished.
        """
        self._progress(stage, done, total, **figures)
        if self._end is not None and done < total and self._clock() > self._end:
            raise OutOfTimeError
