"""Scans in the order in which the product would serve them."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from scoring.database.engine import open_database
from scoring.database.scan_list import synchronise_scans
from scoring.database.score_records import record_score
from scoring.worklist.ranking import ranking


def rank_scans(estimates: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Rank unlabelled scans through the product's own database.

    Args:
        estimates: scan to class to estimated DSC in [0, 1].

    Returns:
        Names, least certain first.
    """
    generation = "simulated"
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(Path(folder) / "database.sqlite")
        try:
            synchronise_scans(engine, estimates, labelled=())
            for scan, classes in estimates.items():
                record_score(engine, scan, generation, classes, seconds=0.0)
            return [ranked.scan for ranked in ranking(engine, generation)]
        finally:
            engine.dispose()
