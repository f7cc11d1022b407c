"""The interface of all executors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lib.progress import Progress


@dataclass(frozen=True)
class Work:
    """A call that another process could make.

    Attributes:
        call: a function, or `functools.partial` of one, that can be pickled and takes `progress` by name;
            whatever it makes, it stores, and gives what is small back.
        progress: told how far the call is; an executor elsewhere may tell it of the end alone.
        after: position, among the works that are run together, of an earlier one that must be done
            before; None where nothing must.
    """

    call: Callable[..., Any]
    progress: Progress
    after: int | None = None


class Executor(Protocol):
    """Runs work somewhere."""

    def run(self, works: Sequence[Work]) -> Iterator[Any]:
        """Run all works and give their results in the order of the works.

        Raises:
            Exception: what a call raised; works that were not begun are not run then.
        """
