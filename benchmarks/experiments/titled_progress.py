"""Progress on the terminal of an experiment that has many parts."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from apps.calibrated_ensemble.terminal.output import messages
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from lib.progress import Progress

ShowProgress = Callable[[str], AbstractContextManager[Progress]]
"""Given the title of what begins, shows its progress until the context ends."""


@contextmanager
def titled_progress(title: str) -> Iterator[Progress]:
    """Print the title of what begins, and show its progress below; a `ShowProgress`."""
    messages.print(title, highlight=False)
    with TerminalProgress(messages) as progress:
        yield progress
