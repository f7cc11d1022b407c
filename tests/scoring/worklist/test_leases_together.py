"""Several annotators, servers and scoring processes at once, on a real database."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Engine

from scoring.database.engine import open_database
from scoring.database.scan_list import synchronise_scans
from scoring.database.score_records import record_score
from scoring.worklist.next_scan import next_scan
from scoring.worklist.queue_state import queue_state
from scoring.worklist.ranking import ranking

ANNOTATORS = 10
EACH = 3
NAMES = [f"scan_{i:02d}" for i in range(40)]


def ask(engine: Engine, client: str) -> str | None:
    served = next_scan(engine, client=client, strategy="least_certain", generation="g", lease_seconds=600)
    return served and served.scan


def open_and_ask(database: str, barrier, answers) -> None:  # barrier and queue of a spawned process
    barrier.wait(timeout=60)
    engine = open_database(database)
    synchronise_scans(engine, NAMES, [])
    process = multiprocessing.current_process().name
    for index in range(EACH):
        answers.put(ask(engine, process))
        record_score(engine, NAMES[-1 - index], "g", {"lesion": 0.9}, seconds=0.1)


@pytest.mark.parametrize("anonymous", [False, True])
def test_ten_threads_that_ask_at_once_get_different_scans(engine: Engine, anonymous: bool) -> None:
    synchronise_scans(engine, NAMES, [])
    for index, name in enumerate(NAMES):
        record_score(engine, name, "g", {"lesion": index / 100}, seconds=0.1)
    barrier = Barrier(ANNOTATORS)

    def annotate(number: int) -> list[str | None]:
        barrier.wait(timeout=60)
        return [ask(engine, "" if anonymous else f"annotator {number}") for _ in range(EACH)]

    with ThreadPoolExecutor(ANNOTATORS) as threads:
        served = [scan for scans in threads.map(annotate, range(ANNOTATORS)) for scan in scans]
    assert sorted(str(scan) for scan in served) == NAMES[: ANNOTATORS * EACH]


def test_ten_processes_that_open_a_new_database_and_ask_at_once_get_different_scans(database: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(ANNOTATORS), context.Queue()
    processes = [context.Process(target=open_and_ask, args=(database, barrier, answers)) for _ in range(ANNOTATORS)]
    for process in processes:
        process.start()
    served = [answers.get(timeout=90) for _ in range(ANNOTATORS * EACH)]
    for process in processes:
        process.join(timeout=60)
    assert [process.exitcode for process in processes] == [0] * ANNOTATORS
    assert len(set(served)) == ANNOTATORS * EACH
    assert None not in served
    engine = open_database(database)
    assert queue_state(engine, generation="g").leased == ANNOTATORS * EACH
    held = {line.scan: line.leased_to for line in ranking(engine, "g") if line.leased_to is not None}
    assert set(held) == set(served)
    assert len(set(held.values())) == ANNOTATORS
