"""Test DSC of models whose scans were chosen for labelling, against models of random scans.

    python -m benchmarks.active_learning --images imagesTr --labels labelsTr --output DIR

The annotator is simulated: all labels are there, and a strategy chooses which are used next.

- least_certain: the product's ranking by estimated DSC
- random
- entropy: largest mean entropy of the mean softmax at w^DSC
- diverse: of three times as many least certain scans those that lie farthest from the labelled scans
  and from each other in the networks' features

The strategies share the test scans and the start of each seed. Each round is kept in DIR/rounds:
started again, the same command goes on where it was; more seeds or strategies add to what is there.
It ends with DIR/results.json, table.md and curve.png.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path
from apps.calibrated_ensemble.terminal.output import show_warnings
from benchmarks.active_learning.choice import Strategy
from benchmarks.active_learning.design import Design
from benchmarks.active_learning.report import draw_curves, print_tables, tables, write_tables
from benchmarks.active_learning.results import summarise
from benchmarks.active_learning.simulation import Simulation
from benchmarks.experiments.held_out_split import split_scans
from benchmarks.experiments.overridden_task import override_task
from benchmarks.experiments.titled_progress import titled_progress
from lib.calibration.registry import CALIBRATORS
from lib.datasets.decathlon import read_data_set
from lib.errors import InputError
from lib.storage.atomic import write_text
from lib.task.presets import PRESETS


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate what is missing, and report."""
    parser = argparse.ArgumentParser(
        "active_learning", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of scans")
    parser.add_argument("--labels", type=Path, required=True, help="folder of their labels")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--task", default="hippocampus", help="name of a task, or a task file")
    parser.add_argument("--preset", choices=PRESETS)
    parser.add_argument("--iterations", type=int, help="optimiser steps of a member, in place of the preset's")
    parser.add_argument("--heatmap", choices=CALIBRATORS, help="in place of the task's")
    parser.add_argument("--start", type=int, default=8, help="labelled scans at the start")
    parser.add_argument("--add", type=int, default=8, help="scans that are labelled after each round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", type=int, default=60, help="test scans")
    parser.add_argument("--strategies", nargs="+", choices=[*Strategy], default=[*Strategy])
    parser.add_argument("--device", default="auto")
    given = parser.parse_args(arguments)
    show_warnings()
    try:
        design = Design(
            task=override_task(
                task_by_name_or_path(given.task, given.preset), iterations=given.iterations, heatmap=given.heatmap
            ),
            start=given.start,
            add=given.add,
            rounds=given.rounds,
            seeds=given.seeds,
            strategies=tuple(strategy for strategy in Strategy if strategy in given.strategies),
        )
        data_set = read_data_set(given.images, given.labels, design.task)
        split = split_scans(data_set.labelled, given.test)
        rounds = Simulation(design, split, given.output, show_progress=titled_progress, device=given.device).run()
        results = summarise(rounds, design.task.classes)
        made = tables(results, f"heatmap {design.task.heatmap}, {design.task.training.iterations} iterations")
        write_text(given.output / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
        write_tables(given.output / "table.md", made)
        draw_curves(given.output / "curve.png", results)
    except InputError as error:
        parser.exit(2, f"{error}\n")
    print_tables(made, Console(width=200))


if __name__ == "__main__":
    main()
