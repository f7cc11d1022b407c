"""Taking a scan that one chose, from the worklist."""

import threading

import pytest
from sqlalchemy import Engine, select

from lib.errors import InputError
from scoring.database.engine import reading
from scoring.database.scan_list import mark_labelled, synchronise_scans
from scoring.database.tables import events, leases
from scoring.worklist.leases import Lease, end_lease, lease_scan
from scoring.worklist.next_scan import next_scan


@pytest.fixture
def listed(engine: Engine) -> Engine:
    synchronise_scans(engine, ["a", "b", "c"], ["c"])
    return engine


def take(engine: Engine, scan: str, client: str, now: float = 0.0) -> Lease | None:
    return lease_scan(engine, scan, client=client, lease_seconds=100.0, now=now)


def test_a_free_scan_is_leased_to_who_takes_it(listed: Engine) -> None:
    assert take(listed, "a", "ann") == Lease("ann", 100.0)


def test_a_scan_that_another_has_stays_theirs(listed: Engine) -> None:
    take(listed, "a", "ann")
    assert take(listed, "a", "bob", now=50.0) == Lease("ann", 100.0)
    assert take(listed, "a", "bob", now=99.0) == Lease("ann", 100.0)


def test_taking_ones_own_scan_again_renews_the_lease(listed: Engine) -> None:
    take(listed, "a", "ann")
    assert take(listed, "a", "ann", now=60.0) == Lease("ann", 160.0)


def test_renewals_keep_the_time_of_serving_so_that_the_time_of_annotating_is_known(listed: Engine) -> None:
    take(listed, "a", "ann", now=10.0)
    for now in (60.0, 110.0, 160.0):
        take(listed, "a", "ann", now=now)
    with reading(listed) as connection:
        assert connection.execute(select(leases.c.served, leases.c.expires)).one() == (10.0, 260.0)
    mark_labelled(listed, "a", client="ann", now=200.0)
    with reading(listed) as connection:
        log = connection.execute(select(events.c.kind, events.c.time).order_by(events.c.id)).all()
    assert log == [("served", 10.0), ("submitted", 200.0)]


def test_taking_a_scan_again_after_the_lease_ran_out_is_a_new_serving(listed: Engine) -> None:
    take(listed, "a", "ann")
    take(listed, "a", "ann", now=500.0)
    with reading(listed) as connection:
        assert connection.execute(select(leases.c.served)).scalar_one() == 500.0


def test_a_page_that_closed_does_not_end_the_lease_that_was_renewed_since(listed: Engine) -> None:
    closed = take(listed, "a", "ann")
    opened_anew = take(listed, "a", "ann", now=1.0)
    assert closed
    assert opened_anew
    assert not end_lease(listed, "a", client="ann", expires=closed.expires)
    assert take(listed, "a", "bob", now=2.0) == opened_anew
    assert end_lease(listed, "a", client="ann", expires=opened_anew.expires)
    assert take(listed, "a", "bob", now=3.0) == Lease("bob", 103.0)


def test_an_expired_lease_is_free_for_others(listed: Engine) -> None:
    take(listed, "a", "ann")
    assert take(listed, "a", "bob", now=100.0) == Lease("bob", 200.0)
    assert take(listed, "a", "ann", now=150.0) == Lease("bob", 200.0)


@pytest.mark.parametrize("scan", ["c", "nobody"])
def test_a_labelled_or_unknown_scan_cannot_be_taken(listed: Engine, scan: str) -> None:
    assert take(listed, scan, "ann") is None


def test_a_scan_that_was_taken_is_served_to_nobody_else(listed: Engine) -> None:
    take(listed, "a", "ann")
    served = [
        next_scan(listed, client="bob", strategy="random", generation=None, lease_seconds=9, now=1.0) for _ in range(2)
    ]
    assert [one and one.scan for one in served] == ["b", "b"]


def test_only_the_holder_gives_a_scan_back(listed: Engine) -> None:
    take(listed, "a", "ann")
    assert not end_lease(listed, "a", client="bob")
    assert take(listed, "a", "bob", now=1.0) == Lease("ann", 100.0)
    assert end_lease(listed, "a", client="ann")
    assert take(listed, "a", "bob", now=2.0) == Lease("bob", 102.0)


def test_a_scan_that_was_labelled_meanwhile_cannot_be_renewed(listed: Engine) -> None:
    take(listed, "a", "ann")
    mark_labelled(listed, "a")
    assert take(listed, "a", "ann", now=1.0) is None


def test_nobody_in_particular_cannot_take_a_scan(listed: Engine) -> None:
    with pytest.raises(InputError, match="client_id: is missing"):
        take(listed, "a", "")


def test_of_many_who_take_a_scan_together_one_gets_it(listed: Engine) -> None:
    holders = []

    def attempt(client: str) -> None:
        lease = take(listed, "a", client)
        assert lease is not None
        holders.append(lease.client)

    threads = [threading.Thread(target=attempt, args=(f"client {number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(holders) == 8
    assert len(set(holders)) == 1
