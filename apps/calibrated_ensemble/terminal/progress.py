"""How far work is, for whoever watches a terminal or a log."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from apps.calibrated_ensemble.terminal.termination import TerminatedError

_SPEED_SECONDS = 120.0
"""Over how long the speed is averaged, long enough for steps of different length."""

_LOG_PARTS = 10

_STOPS: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: TerminatedError}


class TerminalProgress:
    """A bar with the time left for each stage; in a log, a line for every tenth of it.

    It is a `lib.progress.Progress`, to be used as a context manager. Within it Ctrl-C and SIGTERM stop
    the work at the next step at the latest: one that meets the interpreter in a finaliser is swallowed there.

    Args:
        console: where it is shown; the standard error, so that results can be piped.
    """

    def __init__(self, console: Console):
        self._console = console
        self._stages: dict[str, TaskID] = {}
        self._parts: dict[str, int] = {}
        self._stop: type[BaseException] | None = None
        self._handlers: dict[int, signal.Handlers | Callable[[int, FrameType | None], object] | int | None] = {}
        self._bars = Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[figures]}"),
            console=console,
            speed_estimate_period=_SPEED_SECONDS,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._interrupt) for number in _STOPS}
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def __call__(self, stage: str, done: int, total: int, /, **figures: float) -> None:
        """Show that `done` of `total` steps of `stage` are finished, see `lib.progress.Progress`.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed since the last step.
            TerminatedError: the process was told to end since then.
        """
        if self._stop is not None:
            raise self._stop
        shown = "  ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in figures.items())
        if self._console.is_terminal:
            if stage not in self._stages:
                self._stages[stage] = self._bars.add_task(stage, total=total, figures="")
            self._bars.update(self._stages[stage], completed=done, total=total, figures=shown)
            return
        part = _LOG_PARTS * done // total if total else _LOG_PARTS
        if part != self._parts.get(stage):
            self._parts[stage] = part
            self._console.print(f"{stage}: {done} of {total}  {shown}".rstrip(), highlight=False, soft_wrap=True)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._stop = _STOPS[number]
        raise self._stop
