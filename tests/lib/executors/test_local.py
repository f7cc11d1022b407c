from collections.abc import Callable
from functools import partial

import pytest

from lib.executors.executor import Executor, Work
from lib.executors.local import InProcess
from lib.progress import Progress


def square(number: int, *, progress: Progress) -> int:
    progress("squaring", 1, 1, number=number)
    return number * number


def collect(told: list[tuple[int, float]], work: int) -> Callable[..., None]:
    def progress(stage: str, done: int, total: int, /, **figures: float) -> None:
        told.append((work, figures["number"]))

    return progress


def test_results_come_in_the_order_of_the_works_and_progress_goes_to_its_own_work() -> None:
    told: list[tuple[int, float]] = []
    executor: Executor = InProcess()
    works = [
        Work(partial(square, number), collect(told, number), after=0 if number == 2 else None) for number in (3, 1, 2)
    ]
    assert list(executor.run(works)) == [9, 1, 4]
    assert told == [(3, 3), (1, 1), (2, 2)]


def test_what_a_work_raises_ends_the_run() -> None:
    began = []

    def work(number: int, *, progress: Progress) -> None:
        began.append(number)
        if number == 1:
            raise FloatingPointError("diverged")

    works = [Work(partial(work, number), collect([], number)) for number in range(3)]
    with pytest.raises(FloatingPointError, match="diverged"):
        list(InProcess().run(works))
    assert began == [0, 1]
