import pytest
from sqlalchemy import Engine, select

from lib.errors import InputError
from scoring.database.engine import reading
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.score_records import record_failure, record_score
from scoring.database.tables import events
from scoring.strategies.random_order import random_position
from scoring.worklist.leases import end_lease
from scoring.worklist.next_scan import next_scan
from scoring.worklist.queue_state import QueueState, queue_state
from scoring.worklist.ranking import ranking

NAMES = ["a", "b", "c", "d", "e"]
MEANS = {"a": 0.7, "b": 0.2, "c": 0.9, "d": 0.5, "e": 0.3}
LEAST_CERTAIN_FIRST = ["b", "e", "d", "a", "c"]
LEASE = 100.0


@pytest.fixture
def scored(engine: Engine) -> Engine:
    synchronise_scans(engine, NAMES, [])
    for name, mean in MEANS.items():
        record_score(engine, name, "g", {"organ": mean, "lesion": mean}, seconds=1.0)
    return engine


def ask(
    engine: Engine,
    client: str | None = "ann",
    *,
    strategy: str = "least_certain",
    generation: str | None = "g",
    now: float = 0.0,
    seed: int = 0,
) -> str | None:
    served = next_scan(
        engine, client=client, strategy=strategy, generation=generation, lease_seconds=LEASE, seed=seed, now=now
    )
    return served and served.scan


def random_order(names: list[str], seed: int = 0) -> list[str]:
    return sorted(names, key=lambda name: random_position(seed, name))


def test_the_least_certain_scan_comes_first_and_asking_again_moves_on(scored: Engine) -> None:
    assert [ask(scored) for _ in NAMES] == LEAST_CERTAIN_FIRST


def test_the_answer_holds_the_estimates_and_the_end_of_the_lease(scored: Engine) -> None:
    served = next_scan(scored, client="ann", strategy="least_certain", generation="g", lease_seconds=60, now=1000.0)
    assert served is not None
    assert (served.scan, served.mean_estimated_dsc, served.expires, served.again) == ("b", 0.2, 1060.0, False)
    assert served.estimated_dsc == {"organ": 0.2, "lesion": 0.2}


def test_the_scores_of_another_generation_do_not_count(scored: Engine) -> None:
    record_score(scored, "c", "newer", {"lesion": 0.99}, seconds=1.0)
    assert ask(scored, generation="newer") == "c"
    assert [ask(scored, generation="newer") for _ in range(4)] == random_order(["a", "b", "d", "e"])


def test_a_labelled_scan_is_never_served(scored: Engine) -> None:
    mark_labelled(scored, "b")
    assert [ask(scored) for _ in range(4)] == ["e", "d", "a", "c"]


def test_a_scan_leased_to_one_annotator_is_not_served_to_another(scored: Engine) -> None:
    assert [ask(scored, client) for client in ("ann", "bob", "", None, "ann")] == LEAST_CERTAIN_FIRST


def test_an_earlier_lease_stays_when_its_client_moves_on(scored: Engine) -> None:
    ask(scored, "ann")
    ask(scored, "ann")
    assert ask(scored, "bob") == "d"


def test_an_expired_lease_is_free_again_and_not_a_moment_earlier(scored: Engine) -> None:
    assert ask(scored, "ann", now=0.0) == "b"
    assert ask(scored, "bob", now=LEASE - 0.001) == "e"
    assert ask(scored, "bob", now=LEASE) == "b"


def test_an_ended_lease_is_free_again(scored: Engine) -> None:
    assert ask(scored, "ann") == "b"
    assert end_lease(scored, "b")
    assert not end_lease(scored, "b")
    assert ask(scored, "bob") == "b"


def test_unscored_scans_come_after_scored_ones_in_random_order(scored: Engine) -> None:
    new = ["p", "q", "r", "s"]
    synchronise_scans(scored, NAMES + new, [])
    assert [ask(scored) for _ in range(9)] == LEAST_CERTAIN_FIRST + random_order(new)


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("strategy", ["least_certain", "random"])
def test_before_the_first_generation_the_order_is_random_and_that_of_the_seed(
    engine: Engine, strategy: str, seed: int
) -> None:
    synchronise_scans(engine, NAMES, [])
    served = [ask(engine, strategy=strategy, generation=None, seed=seed) for _ in NAMES]
    assert served == random_order(NAMES, seed)


def test_seeds_give_different_orders() -> None:
    assert len({tuple(random_order(NAMES, seed)) for seed in range(20)}) > 10


def test_random_ignores_the_scores_and_keeps_the_leases(scored: Engine) -> None:
    order = random_order(NAMES)
    assert order != LEAST_CERTAIN_FIRST
    served = [ask(scored, client, strategy="random") for client in ("ann", "bob", "ann", "bob", None)]
    assert served == order


@pytest.mark.parametrize("strategy", ["least_certain", "random"])
def test_a_broken_scan_is_not_served_while_its_error_stands(scored: Engine, strategy: str) -> None:
    record_failure(scored, "b", "g", "truncated", seconds=0.1)
    assert "b" not in [ask(scored, strategy=strategy) for _ in range(4)]
    record_score(scored, "b", "g", {"lesion": 0.1}, seconds=1.0)
    assert ask(scored, "bob", strategy=strategy) == "b"


def test_a_scan_broken_for_an_earlier_generation_is_tried_again(scored: Engine) -> None:
    record_failure(scored, "b", "g", "truncated", seconds=0.1)
    assert "b" in [ask(scored, generation="newer") for _ in NAMES]


def test_when_nothing_else_is_left_a_client_gets_its_longest_ago_scan_again(scored: Engine) -> None:
    for now, name in enumerate(LEAST_CERTAIN_FIRST):
        assert ask(scored, "ann", now=now) == name
    served = next_scan(scored, client="ann", strategy="least_certain", generation="g", lease_seconds=LEASE, now=50.0)
    assert served is not None
    assert (served.scan, served.again, served.expires) == ("b", True, 150.0)
    assert ask(scored, "ann", now=51.0) == "e"
    assert ask(scored, "bob", now=52.0) is None


def test_what_a_client_has_submitted_is_not_served_to_it_again(scored: Engine) -> None:
    for now, name in enumerate(LEAST_CERTAIN_FIRST):
        ask(scored, "ann", now=now)
        if name != "d":
            mark_labelled(scored, name)
    assert [ask(scored, "ann", now=10.0 + i) for i in range(2)] == ["d", "d"]


@pytest.mark.parametrize("anonymous", ["", None])
def test_an_anonymous_client_does_not_get_a_strangers_scan_again(scored: Engine, anonymous: str | None) -> None:
    for _ in NAMES:
        assert ask(scored, anonymous) is not None
    assert ask(scored, anonymous) is None


def test_every_serving_and_release_is_logged(scored: Engine) -> None:
    ask(scored, "ann", now=3.0)
    end_lease(scored, "b", client="ann", now=4.0)
    query = select(events.c.time, events.c.kind, events.c.scan, events.c.client).order_by(events.c.id)
    with reading(scored) as connection:
        assert connection.execute(query).all()[-2:] == [(3.0, "served", "b", "ann"), (4.0, "released", "b", "ann")]


def test_the_queue_says_why_nothing_is_left(engine: Engine) -> None:
    def state(now: float = 0.0) -> QueueState:
        return queue_state(engine, generation="g", now=now)

    assert ask(engine) is None
    assert "no scans" in state().reason
    synchronise_scans(engine, ["a", "b", "c"], [])
    assert (state(), state().reason) == (QueueState(labelled=0, leased=0, broken=0, free=3), "")
    record_failure(engine, "c", "g", "truncated", seconds=0.1)
    ask(engine, "ann")
    ask(engine, "ann")
    assert ask(engine, "bob") is None
    assert state() == QueueState(labelled=0, leased=2, broken=1, free=0)
    assert state().counts == {"labelled": 0, "leased": 2, "broken": 1, "free": 0}
    assert "annotators have at present: 2; labelled: 0" in state().reason
    assert "could not be read: 1" in state().reason
    assert state(now=LEASE).free == 2
    mark_labelled(engine, "a")
    mark_labelled(engine, "b")
    assert state() == QueueState(labelled=2, leased=0, broken=1, free=0)
    assert "All readable scans are labelled (2)" in state().reason


def test_the_queue_claims_no_labels_where_all_scans_are_broken(engine: Engine) -> None:
    record_failure(engine, "a", "g", "truncated", seconds=0.1)
    reason = queue_state(engine, generation="g").reason
    assert "could not be read: 1" in reason
    assert "labelled" not in reason


def test_the_ranking_is_the_order_of_serving(scored: Engine) -> None:
    synchronise_scans(scored, [*NAMES, "p", "q", "r"], [])
    record_score(scored, "p", "g", {"lesion": 0.5}, seconds=1.0)  # ties with d
    listed = [line.scan for line in ranking(scored, "g")]
    assert [ask(scored) for _ in listed] == listed


@pytest.mark.parametrize(
    ("change", "message"), [({"strategy": "epistemic"}, "least_certain, random"), ({"lease_seconds": 0.0}, "positive")]
)
def test_refuses_settings_that_make_no_sense(scored: Engine, change: dict, message: str) -> None:
    right = {"client": "ann", "strategy": "random", "generation": None, "lease_seconds": LEASE}
    with pytest.raises(InputError, match=message):
        next_scan(scored, **(right | change))
