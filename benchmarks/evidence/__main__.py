"""The experiments by which the defaults are chosen: docs/evidence.md says what came out.

    python -m benchmarks.evidence --data DIR --output DIR

DIR of the data holds `hippocampus` (Medical Segmentation Decathlon, Task04) and `glioma` (LGG Segmentation
Dataset as volumes), each with `imagesTr` and `labelsTr`. Every experiment trains the model and its baselines,
and judges them by clean and by corrupted scans. It takes hours on a CPU; started again, it goes on where it
was. Each experiment has a folder with a report; tables.md holds all figures.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path
from apps.calibrated_ensemble.terminal.output import show_warnings
from benchmarks.evidence.experiment_run import run_experiment
from benchmarks.evidence.experiments import EXPERIMENTS
from benchmarks.evidence.tables import tables
from benchmarks.experiments.overridden_task import override_task
from benchmarks.experiments.titled_progress import titled_progress
from lib.errors import InputError
from lib.storage.atomic import write_text


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the experiments, and write their tables after each."""
    parser = argparse.ArgumentParser(
        "evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=[one.name for one in EXPERIMENTS], help="these experiments alone")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args(arguments)
    show_warnings()
    made = []
    try:
        for experiment in EXPERIMENTS:
            if given.only and experiment.name not in given.only:
                continue
            found = run_experiment(
                experiment,
                # All members are needed, whatever the task serves by default.
                override_task(task_by_name_or_path(experiment.task), heatmap="votes"),
                given.data,
                given.output / experiment.name,
                show_progress=titled_progress,
                device=given.device,
            )
            made += [tables(experiment.name, condition, metrics) for condition, metrics in found.items()]
            write_text(given.output / "tables.md", "\n".join(made))
    except InputError as error:
        parser.exit(2, f"{error}\n")
    print(given.output / "tables.md")


if __name__ == "__main__":
    main()
