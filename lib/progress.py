"""How long work tells whoever watches how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Called by long work after each step; a terminal bar or the server's task status listens."""

    def __call__(self, stage: str, done: int, total: int, /, **figures: float) -> None:
        """Report that `done` of `total` steps of `stage` are finished.

        Args:
            stage: what is being done, in words for a person, such as "member fold 1, w +2".
            done: steps finished, 0..total.
            total: steps of this stage, or, for the stage "training", of the whole run.
            figures: numbers worth showing, such as loss=0.31 or dice=0.87.
        """


def silent(stage: str, done: int, total: int, /, **figures: float) -> None:
    """Report nothing."""


class JointProgress:
    """Progress of parts as that of the whole, whatever their order.

    Args:
        progress: told of the whole.
        done: steps that were finished before.
        total: steps of the whole, those before included.
    """

    def __init__(self, progress: Progress, *, done: int, total: int):
        self._progress = progress
        self._done = done
        self._total = total

    def part(self) -> Progress:
        """Give a new part something to report to."""
        before = 0

        def report(stage: str, done: int, _total: int, /, **figures: float) -> None:
            nonlocal before
            self._done += done - before
            before = done
            self._progress(stage, self._done, self._total, **figures)

        return report
