"""What nights came to, kept in the database."""

from pathlib import Path

from scoring.database.engine import open_database
from scoring.database.nights import labels_by_annotator, recent_nights, record_night
from scoring.database.scan_list import mark_labelled, synchronise_scans


def test_summaries_come_back_newest_first_and_as_they_were(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "database.sqlite")
    nights = [{"outcome": "published", "dice": {"lesion": 0.5 + number / 100}} for number in range(3)]
    for number, night in enumerate(nights):
        record_night(engine, night, time=float(number))
    assert recent_nights(engine) == nights[::-1]
    assert recent_nights(engine, limit=1) == nights[2:]


def test_labels_are_counted_by_annotator_and_a_corrected_label_once(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "database.sqlite")
    synchronise_scans(engine, ["a", "b", "c"], set())
    for scan, client, moment in (
        ("a", "anna", 5),
        ("a", "anna", 11),
        ("a", "anna", 12),
        ("b", "anna", 13),
        ("c", "", 14),
    ):
        mark_labelled(engine, scan, client=client, now=float(moment))
    assert labels_by_annotator(engine, since=10.0) == {"anna": 2, "": 1}
