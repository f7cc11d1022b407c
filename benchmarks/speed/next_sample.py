"""Next sample and score update, in our database and in MONAI Label's own datastore.

Run `python -m benchmarks.speed.next_sample` in the checkout. Both hold the same made-up scans, one in ten
of them labelled and every one scored; both run on this machine's disk, one call after the other:

- next sample: `scoring.worklist.next_scan.next_scan`, which also leases and logs the scan, against the stock
  `Random` strategy, which only chooses, plus the `update_image_info` with which MONAI Label's server
  notes down what was served.
- score update: `scoring.database.score_records.record_score` against `update_image_info`, which is how a
  stock scoring method stores its result.

The scans of MONAI Label's datastore are entries of its `datastore_v2.json`; listing them itself, it
would compare every file with every name, which takes minutes at 100,000.
"""

import argparse
import json
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monailabel.datastore.local import LocalDatastore
from monailabel.tasks.activelearning.random import Random
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, literal, select

from scoring.database.engine import open_database, writing
from scoring.database.scan_list import synchronise_scans
from scoring.database.score_records import record_score
from scoring.database.tables import priorities, scans, scores
from scoring.worklist.next_scan import next_scan

_GENERATION = "benchmark"
_CLASSES = ("organ", "lesion")
_OUR_CALLS = 200
# What one call of the stock datastore may take in sum, so that 100,000 scans end within a minute.
_STOCK_SECONDS = 15.0


@dataclass(frozen=True)
class Timing:
    """Milliseconds a call takes: the middle one and the slowest of those measured."""

    median: float
    slowest: float
    calls: int


def measure(call: Callable[[int], object], *, calls: int, seconds: float) -> Timing:
    """Time a call, as often as wanted or as the seconds allow, at least three times."""
    took: list[float] = []
    while len(took) < 3 or (len(took) < calls and sum(took) < seconds):
        began = time.perf_counter()
        call(len(took))
        took.append(time.perf_counter() - began)
    return Timing(1e3 * statistics.median(took), 1e3 * max(took), len(took))


def fill_database(path: Path, names: list[str], labelled: set[str]) -> Engine:
    """Make a database in which every scan is scored."""
    engine = open_database(path)
    synchronise_scans(engine, names, labelled)
    chance = random.Random(0)
    with writing(engine) as connection:
        rows = [
            {
                "scan_id": id_,
                "generation": _GENERATION,
                "mean": chance.random(),
                "classes": dict.fromkeys(_CLASSES, 0.5),
                "seconds": 1.0,
                "time": 0.0,
            }
            for id_ in connection.scalars(select(scans.c.id)).all()
        ]
        connection.execute(scores.insert(), rows)
        # As `record_score` does it, which would take minutes for each of 100,000 scans by itself.
        ranked = select(
            scores.c.scan_id,
            literal("least_certain"),
            scores.c.generation,
            scores.c.mean,
            scans.c.state == "unlabelled",
        ).join(scans)
        columns = ["scan_id", "strategy", "generation", "priority", "waiting"]
        connection.execute(priorities.insert().from_select(columns, ranked))
    return engine


def fill_datastore(folder: Path, names: list[str], labelled: set[str]) -> LocalDatastore:
    """Make a datastore of MONAI Label's in which every scan has the entry that a score leaves."""
    chance = random.Random(0)
    objects = {
        name: {
            "image": {
                "ext": ".nii.gz",
                "info": {"ts": 0, "name": f"{name}.nii.gz", "estimated_dsc": {"mean": chance.random()}},
            },
            "labels": {"final": {"ext": ".nii.gz", "info": {}}} if name in labelled else {},
        }
        for name in names
    }
    settings = {"name": "benchmark", "description": "made-up scans", "images_dir": ".", "labels_dir": "labels"}
    folder.mkdir(parents=True)
    (folder / "datastore_v2.json").write_text(json.dumps(settings | {"objects": objects}, indent=2))
    return LocalDatastore(str(folder), read_only=True)


def measure_database(engine: Engine, names: list[str]) -> tuple[Timing, Timing]:
    """Time our next sample and score update."""

    def serve(call: int) -> None:
        client = f"annotator {call % 10}"
        served = next_scan(
            engine, client=client, strategy="least_certain", generation=_GENERATION, lease_seconds=3600, seed=0
        )
        # With few scans every one is leased after a while; the clients are then served theirs again.
        assert served is not None

    def update(call: int) -> None:
        value = (call * 0.37) % 1
        record_score(engine, names[call * 7919 % len(names)], _GENERATION, dict.fromkeys(_CLASSES, value), seconds=1.0)

    return (
        measure(serve, calls=_OUR_CALLS, seconds=_STOCK_SECONDS),
        measure(update, calls=_OUR_CALLS, seconds=_STOCK_SECONDS),
    )


def measure_datastore(datastore: LocalDatastore, names: list[str]) -> tuple[Timing, Timing, Timing]:
    """Time the stock strategy alone, the same with its note in the datastore, and the score update."""
    strategy = Random()

    def choose() -> str:
        return str(strategy({"strategy": "random"}, datastore)["id"])

    def serve(call: int) -> None:
        info = {"strategy": {"random": {"ts": int(time.time()), "client_id": f"annotator {call % 10}"}}}
        datastore.update_image_info(choose(), info)

    def update(call: int) -> None:
        datastore.update_image_info(names[call * 7919 % len(names)], {"estimated_dsc": {"mean": (call * 0.37) % 1}})

    chosen = measure(lambda _: choose(), calls=20, seconds=_STOCK_SECONDS / 3)
    served = measure(serve, calls=20, seconds=_STOCK_SECONDS / 3)
    return chosen, served, measure(update, calls=20, seconds=_STOCK_SECONDS / 3)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, nargs="+", default=[100, 10_000, 100_000], help="numbers of scans")
    counts = parser.parse_args().scans
    logging.getLogger("monailabel").setLevel(logging.WARNING)
    table = Table(title="Milliseconds a call: median (slowest of n)")
    for heading in ("scans", "call", "ours", "MONAI Label", "times"):
        table.add_column(heading, justify="left" if heading == "call" else "right")
    for count in counts:
        names = [f"scan_{index:06d}" for index in range(count)]
        labelled = set(names[::10])
        with tempfile.TemporaryDirectory() as folder:
            engine = fill_database(Path(folder) / "database.sqlite", names, labelled)
            our_next, our_update = measure_database(engine, names)
            engine.dispose()
            chosen, served, update = measure_datastore(fill_datastore(Path(folder) / "studies", names, labelled), names)
        rows = (
            ("next sample (stock: choose)", our_next, chosen),
            ("next sample (stock: choose, note)", our_next, served),
            ("score update", our_update, update),
        )
        for name, ours, stock in rows:
            times = f"{stock.median / ours.median:.1f}"
            table.add_row(f"{count:,}", name, _shown(ours), _shown(stock), times)
        table.add_section()
    Console(width=110).print(table)


def _shown(timing: Timing) -> str:
    return f"{timing.median:.2f} ({timing.slowest:.1f} of {timing.calls})"


if __name__ == "__main__":
    main()
