"""Work in this process."""

from collections.abc import Iterator, Sequence
from typing import Any

from lib.executors.executor import Work


class InProcess:
    """Runs one work after the other, in their order, which `Work.after` allows for always."""

    def run(self, works: Sequence[Work]) -> Iterator[Any]:
        """Run all works, each when its result is asked for; see `lib.executors.executor.Executor`."""
        return (work.call(progress=work.progress) for work in works)
