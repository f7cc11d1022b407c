"""Tables and figure of made-up rounds."""

import json
from pathlib import Path

from benchmarks.active_learning.choice import Strategy
from benchmarks.active_learning.report import draw_curves, tables, write_tables
from benchmarks.active_learning.results import summarise
from benchmarks.active_learning.round_records import Candidate, Round
from tests.benchmarks.active_learning.made_up_rounds import CLASSES


def test_what_is_undefined_is_null_and_shown_as_a_dash(rounds: list[Round]) -> None:
    same = Candidate(estimated_dsc=(0.5, 0.5), true_dsc=(0.5, 0.5), entropy=0.1, volume=1.0, distance=1.0)
    alone = [
        one.model_copy(
            update={"candidates": dict.fromkeys(one.candidates, same), "chosen": one.chosen[:1], "mutual_distances": ()}
        )
        for one in rounds
    ]
    results = summarise(alone, CLASSES)
    assert results["strategies"]["random"]["choice"]["rank_correlation"] is None
    assert results["strategies"]["random"]["choice"]["mutual_distance"] is None
    json.dumps(results, allow_nan=False)
    assert tables(results, "heatmap votes")[-1].rows[0].count("-") == 2


def test_tables_hold_a_row_for_each_strategy_and_a_column_for_each_round(rounds: list[Round], tmp_path: Path) -> None:
    results = summarise(rounds, CLASSES)
    made = tables(results, "heatmap votes")
    dsc, difference, _ = made
    assert [row[0] for row in dsc.rows] == ["least_certain", "random"]
    assert dsc.columns[1:] == ("4 labels", "6 labels", "8 labels", "along the curve")
    assert difference.rows == (("least_certain", *["+5.0 [+5.0, +5.0]"] * 4, "+5.0, +5.0, +5.0"),)
    assert all(len(row) == len(table.columns) for table in made for row in table.rows)
    write_tables(tmp_path / "table.md", made)
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert {line.count("|") for line in lines if line.startswith("| ")} == {len(table.columns) + 1 for table in made}


def test_the_drawing_is_a_picture(rounds: list[Round], tmp_path: Path) -> None:
    draw_curves(tmp_path / "curve.png", summarise(rounds, CLASSES))
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_without_random_choice_there_is_no_table_of_differences(rounds: list[Round], tmp_path: Path) -> None:
    results = summarise([one for one in rounds if one.strategy is Strategy.LEAST_CERTAIN], CLASSES)
    assert [table.title.split()[0] for table in tables(results, "heatmap votes")] == ["Test", "What"]
    draw_curves(tmp_path / "curve.png", results)
