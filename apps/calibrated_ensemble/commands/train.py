"""`train`: a new generation without a server."""

import shlex
import time
from typing import Any

from apps.calibrated_ensemble.commands.choice import Choice
from apps.calibrated_ensemble.terminal.output import messages, percent, print_json, print_table, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from lib.datasets.studies_folder import Studies, read_studies
from lib.ensemble_training.train import train_ensemble
from lib.models.kinds.method import Method
from lib.models.kinds.registry import KINDS
from lib.task.task import Task


def run_train(choice: Choice, *, method: Method, as_json: bool) -> None:
    """Train and print the cross-validated figures, which a baseline has none of.

    Raises:
        InputError: see `lib.datasets.studies_folder.read_studies` and `lib.ensemble_training.train.train_ensemble`.
    """
    show_warnings()
    task = choice.task_settings()
    studies = read_studies(choice.studies_folder(), task)
    figures = train(choice, task, studies, method=method)
    if as_json:
        print_json(figures)
        return
    messages.print(
        f"Generation {figures['generation']} from {figures['scans']} scans in {figures['seconds']:.0f} s.",
        highlight=False,
    )
    if KINDS[method].is_baseline:
        messages.print("It is kept for comparison; what is served stays.", highlight=False)
        return
    print_table(
        "Cross-validated",
        ("class", "DSC %", "w_dsc"),
        [
            (name, percent(dice), f"{weight:g}")
            for (name, dice), weight in zip(figures["dice"].items(), figures["w_dsc"], strict=True)
        ],
    )
    rank = ["calibrated-ensemble", "rank", "--studies", str(choice.studies_folder())]
    if choice.settings.workspace is not None:
        rank += ["--workspace", str(choice.settings.workspace)]
    messages.print(
        f"Next: {shlex.join(rank)}, which scores the unlabelled scans; a server serves them "
        "in random order until then.",
        highlight=False,
        soft_wrap=True,
    )


def train(choice: Choice, task: Task, studies: Studies, *, method: Method = Method.CALIBRATED) -> dict[str, Any]:
    """Train what is missing, with progress on the terminal.

    Returns:
        Id of the generation and its cross-validated figures, as `--json` prints them.

    Raises:
        InputError: see `lib.ensemble_training.train.train_ensemble`.
    """
    for label in studies.labels_without_scan:
        messages.print(f"{label}: has no scan beside it and is not used", highlight=False, soft_wrap=True)
    start = time.monotonic()
    with TerminalProgress(messages) as progress:
        generation = train_ensemble(
            task,
            studies.labelled,
            choice.new_workspace(),
            kind=KINDS[method],
            device=choice.settings.device,
            progress=progress,
        )
    assert generation is not None  # all offsets were asked for
    return {
        "generation": generation.id,
        "method": generation.method,
        "workspace": str(generation.path.parents[1]),
        "task": generation.task.name,
        "classes": list(generation.task.classes),
        "w_dsc": list(generation.w_dsc),
        **generation.metrics,
        "seconds": round(time.monotonic() - start, 1),
    }
