"""Which scan an annotator gets next, over `/activelearning/{strategy}`."""

from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from apps.calibrated_ensemble.annotator import annotator_of
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.project import Project
from lib.errors import ProductError
from scoring.strategies.registry import query_strategies
from scoring.worklist.next_scan import next_scan
from scoring.worklist.queue_state import queue_state

_ATTEMPTS = 3


class NothingLeftError(ProductError):
    """No scan can be served at present.

    Args:
        message: why, for the annotator.
        counts: numbers of scans that are labelled, leased, broken and free.
    """

    def __init__(self, message: str, counts: dict[str, int]):
        super().__init__(message)
        self.counts = counts


class NextScan(Strategy):
    """Serves scans and leases each to who asked.

    Args:
        name: of the strategy, a key of `query_strategies`.
        project: whose generation's scores count, for how long a lease lasts, and the seed of the random order.
        register: knows the scans, and brings the database's list up to date.
    """

    def __init__(self, name: str, project: Project, register: ScanRegister):
        super().__init__(f"{query_strategies()[name].description}, leased to who asks")
        self._name = name
        self._project = project
        self._register = register

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:  # noqa: ARG002
        """Serve the next scan.

        Args:
            request: `client_id` names the annotator; without one the lease belongs to nobody in
                particular, and the scan is served to nobody else all the same.
            datastore: as MONAI Label's; the scans are those of the register.

        Returns:
            `id`, `estimated_dsc` per class and `mean_estimated_dsc` (0..1, None without a score of the scan as it is),
            `generation`, `lease_expires` (seconds since 1970) and `served_again`.

        Raises:
            NothingLeftError: nothing is left to serve.
            DatabaseError: the database cannot be used.
            UnreachableError: the PACS does not answer.
        """
        engine, generation = self._project.engine, self._project.workspace.current()
        for attempt in range(_ATTEMPTS):
            self._register.synchronise(always=attempt > 0)
            served = next_scan(
                engine,
                client=annotator_of(request),
                strategy=self._name,
                generation=generation,
                lease_seconds=self._project.lease_seconds,
                seed=self._project.task.seed,
            )
            if served is None:
                break
            if self._register.scans.is_unlabelled(served.scan):
                known = self._register.is_scored_as_it_is(served.scan, served.stamp)
                return {
                    "id": served.scan,
                    "estimated_dsc": served.estimated_dsc if known else None,
                    "mean_estimated_dsc": served.mean_estimated_dsc if known else None,
                    "generation": generation,
                    "lease_expires": served.expires,
                    "served_again": served.again,
                }
        queue = queue_state(engine, generation=generation)
        message = queue.reason or "The scans in the studies folder are changing; ask again in a moment."
        raise NothingLeftError(message, queue.counts)
