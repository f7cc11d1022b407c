"""The queue against a model of it that is a few dictionaries, over random histories."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from scoring.database.engine import open_database
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.score_records import record_failure, record_score
from scoring.strategies.random_order import random_position
from scoring.worklist.leases import end_lease
from scoring.worklist.next_scan import next_scan
from scoring.worklist.queue_state import queue_state
from scoring.worklist.ranking import ranking

NAMES = ["a", "b", "c", "d"]
LEASE = 10.0
name = st.sampled_from(NAMES)


class Queue(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.engine = open_database("sqlite://")
        self.now = 0.0
        self.labelled: set[str] = set()
        self.absent: set[str] = set()
        self.means: dict[str, float | None] = {}
        self.leases: dict[str, tuple[str, float, float]] = {}

    def teardown(self) -> None:
        self.engine.dispose()

    @initialize()
    def list_scans(self) -> None:
        synchronise_scans(self.engine, NAMES, [])

    @rule(seconds=st.sampled_from([1.0, 4.0, LEASE]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=name, mean=st.sampled_from([0.0, 0.3, 0.6]))
    def score(self, name: str, mean: float) -> None:
        record_score(self.engine, name, "g", {"lesion": mean}, seconds=0.0)
        self.means[name] = mean

    @rule(name=name)
    def fail(self, name: str) -> None:
        record_failure(self.engine, name, "g", "truncated", seconds=0.0)
        self.means[name] = None

    @rule(name=name)
    def submit(self, name: str) -> None:
        mark_labelled(self.engine, name, now=self.now)
        self.labelled.add(name)
        self.absent.discard(name)
        self.leases.pop(name, None)

    @rule(name=name)
    def release(self, name: str) -> None:
        assert end_lease(self.engine, name) == (self.leases.pop(name, None) is not None)

    @rule(labelled=st.sets(name), absent=st.sets(name))
    def synchronise(self, labelled: set[str], absent: set[str]) -> None:
        synchronise_scans(self.engine, [name for name in NAMES if name not in absent], labelled)
        self.labelled, self.absent = labelled - absent, absent

    @rule(
        client=st.sampled_from(["ann", "bob", ""]),
        strategy=st.sampled_from(["least_certain", "random"]),
        generation=st.sampled_from(["g", "newer", None]),
        seed=st.sampled_from([0, 1]),
    )
    def ask(self, client: str, strategy: str, generation: str | None, seed: int) -> None:
        means = self.means if generation == "g" else {}
        waiting = [name for name in NAMES if self.waits(name) and not (name in means and means[name] is None)]

        def urgency(name: str) -> tuple:
            mean = means.get(name) if strategy == "least_certain" else None
            return (0, mean, NAMES.index(name)) if mean is not None else (1, random_position(seed, name))

        free = sorted((name for name in waiting if not self.leased(name)), key=urgency)
        own = sorted(
            (name for name in waiting if client and self.leased(name) and self.leases[name][0] == client),
            key=lambda name: (self.leases[name][1], random_position(seed, name)),
        )
        expected = next(iter(free + own), None)
        served = next_scan(
            self.engine,
            client=client,
            strategy=strategy,
            generation=generation,
            lease_seconds=LEASE,
            seed=seed,
            now=self.now,
        )
        assert (served and served.scan) == expected
        if served is not None:
            assert served.again == (not free)
            assert served.mean_estimated_dsc == means.get(served.scan)
            self.leases[served.scan] = (client, self.now, self.now + LEASE)

    @invariant()
    def every_scan_is_counted_once(self) -> None:
        waiting = [name for name in NAMES if self.waits(name)]
        broken = [name for name in waiting if name in self.means and self.means[name] is None]
        leased = [name for name in waiting if name not in broken and self.leased(name)]
        state = queue_state(self.engine, generation="g", now=self.now)
        assert (state.labelled, state.broken, state.leased) == (len(self.labelled), len(broken), len(leased))
        assert state.free == len(waiting) - len(broken) - len(leased)

    @invariant()
    def the_ranking_shows_what_waits_and_who_has_it(self) -> None:
        held = {line.scan: line.leased_to for line in ranking(self.engine, "g", now=self.now)}
        assert held == {name: self.leases[name][0] if self.leased(name) else None for name in NAMES if self.waits(name)}

    def waits(self, name: str) -> bool:
        return name not in self.labelled | self.absent

    def leased(self, name: str) -> bool:
        return name in self.leases and self.leases[name][2] > self.now


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
