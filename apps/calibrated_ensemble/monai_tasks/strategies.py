"""Which scan an annotator gets next, over `/activelearning/{strategy}`."""

from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy
from sqlalchemy import Engine

from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.jobs.scan_source import waits_for_a_label
from lib.models.workspace import Workspace
from scoring.strategies.registry import query_strategies
from scoring.worklist.next_scan import next_scan
from scoring.worklist.queue_state import queue_state

NOTHING_LEFT = 404
_ATTEMPTS = 3


class NextScan(Strategy):
    """Serves scans and leases each to who asked.

    Args:
        name: of the strategy, a key of `query_strategies`.
        workspace: gives the current generation, whose scores count.
        engine: from `scoring.database.engine.open_database`.
        register: brings the database's list of scans up to date.
        lease_seconds: for how long a served scan is kept from others.
        seed: of the random order.
    """

    def __init__(
        self,
        name: str,
        *,
        workspace: Workspace,
        engine: Engine,
        register: ScanRegister,
        lease_seconds: float,
        seed: int,
    ):
        super().__init__(f"{query_strategies()[name].description}, leased to who asks")
        self._name = name
        self._workspace = workspace
        self._engine = engine
        self._register = register
        self._lease_seconds = lease_seconds
        self._seed = seed

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Serve the next scan.

        Args:
            request: `client_id` names the annotator; without one the lease belongs to nobody in
                particular, and the scan is served to nobody else all the same.
            datastore: where the scan must be, unlabelled.

        Returns:
            `id`, `estimated_dsc` per class and `mean_estimated_dsc` (0..1, None without a score),
            `generation`, `lease_expires` (seconds since 1970) and `served_again`.

        Raises:
            HTTPException: 404 when nothing is left. An empty answer would be simpler, but leads
                OHIF to a black page; the `detail` holds a message and the counts.
            DatabaseError: the database cannot be used.
        """
        generation = self._workspace.current()
        for attempt in range(_ATTEMPTS):
            self._register.synchronise(always=attempt > 0)
            served = next_scan(
                self._engine,
                client=str(request.get("client_id") or ""),
                strategy=self._name,
                generation=generation,
                lease_seconds=self._lease_seconds,
                seed=self._seed,
            )
            if served is None:
                break
            if waits_for_a_label(datastore, served.scan):
                return {
                    "id": served.scan,
                    "estimated_dsc": served.estimated_dsc,
                    "mean_estimated_dsc": served.mean_estimated_dsc,
                    "generation": generation,
                    "lease_expires": served.expires,
                    "served_again": served.again,
                }
        queue = queue_state(self._engine, generation=generation)
        message = queue.reason or "The scans in the studies folder are changing; ask again in a moment."
        raise HTTPException(NOTHING_LEFT, {"message": message, **queue.counts})
