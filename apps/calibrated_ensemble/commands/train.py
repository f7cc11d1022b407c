"""`train`: a new generation without a server."""

import shlex
from typing import Any

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.jobs.score_unlabelled import scoring_figures
from apps.calibrated_ensemble.jobs.train import Trained, train
from apps.calibrated_ensemble.terminal.output import messages, percent, print_json, print_table, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from lib.models.kinds.method import Method
from lib.models.kinds.registry import KINDS


def run_train(options: CommandOptions, *, method: Method, as_json: bool) -> None:
    """Train, score the unlabelled scans, and print the cross-validated figures, which a baseline has none of.

    Raises:
        InputError: see `CommandContext.opened` and `lib.ensemble_training.train.train_ensemble`.
        BusyError: another training runs in this workspace.
        StorageError: a disk is full, or the database cannot be used.
        UnreachableError: the PACS does not answer.
    """
    context = CommandContext.of_options(options)
    show_warnings()
    task = context.task_settings()
    with context.opened(task) as (project, scans), TerminalProgress(messages) as progress:
        trained = train(project, scans, kind=KINDS[method], progress=progress)
    figures = training_figures(trained)
    if as_json:
        print_json(figures)
        return
    messages.print(
        f"Generation {figures['generation']} of the task {task.name} (preset {task.preset}) "
        f"from {figures['scans']} scans in {figures['seconds']:.0f} s.",
        highlight=False,
    )
    if trained.scoring is None:
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
    rank = ["calibrated-ensemble", "rank", "--studies", project.studies]
    if context.settings.workspace is not None:
        rank += ["--workspace", str(context.settings.workspace)]
    failed = f", {len(trained.scoring.failed)} could not be scored" if trained.scoring.failed else ""
    messages.print(
        f"{trained.scoring.scored} unlabelled scans are scored{failed}. "
        f"Next: {shlex.join(rank)}, which lists them, least certain first; a server serves them in that order.",
        highlight=False,
        soft_wrap=True,
    )


def training_figures(trained: Trained) -> dict[str, Any]:
    """Id of a generation that was published, its cross-validated figures and what was scored, as JSON."""
    generation = trained.generation
    assert generation is not None  # all offsets were asked for
    return {
        "generation": generation.id,
        "method": generation.method,
        "workspace": str(generation.path.parents[1]),
        "task": generation.task.name,
        "classes": list(generation.task.classes),
        "w_dsc": list(generation.w_dsc),
        **generation.metrics,
        "seconds": round(trained.seconds, 1),
        "scoring": scoring_figures(trained.scoring) if trained.scoring else None,
    }
