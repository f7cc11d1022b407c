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
