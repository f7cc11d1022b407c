"""Progress on the terminal and in logs."""

import contextlib
import io
import signal

import pytest
from rich.console import Console

from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from apps.calibrated_ensemble.terminal.termination import TerminatedError


def _log() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=40)


def _written(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_log_gets_one_line_for_every_tenth() -> None:
    console = _log()
    with TerminalProgress(console) as progress:
        for step in range(1, 101):
            progress("training", step, 100, loss=0.25, w_some_class_with_a_long_name=-3.0)
    lines = _written(console)
    assert len(lines) == 11
    assert lines[-1] == "training: 100 of 100  loss 0.25  w some class with a long name -3"


@pytest.mark.parametrize(("number", "stop"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError)])
def test_a_swallowed_interrupt_stops_the_work_at_the_next_step(number: int, stop: type[BaseException]) -> None:
    with TerminalProgress(_log()) as progress:
        progress("training", 1, 3)
        with contextlib.suppress(stop):
            signal.raise_signal(number)
        with pytest.raises(stop):
            progress("training", 2, 3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_handler_of_before_is_back_afterwards(number: int) -> None:
    before = signal.getsignal(number)
    with TerminalProgress(_log()):
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) is before
