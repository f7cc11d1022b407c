"""`rank`: the unlabelled scans, least certain first."""

from collections.abc import Sequence

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.jobs.score_unlabelled import score_unlabelled
from apps.calibrated_ensemble.terminal.output import messages, percent, print_json, print_table, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from scoring.worklist.ranking import RankedScan, ranking


def run_rank(options: CommandOptions, *, as_json: bool) -> None:
    """Score what has no score yet, and print the ranking.

    Raises:
        InputError: see `CommandContext.generation` and `CommandContext.opened`; no such device.
        NotTrainedError: there is no generation yet.
        StorageError: a disk is full, or the database cannot be used.
        UnreachableError: the PACS does not answer.
        DamagedGenerationError: the generation's files are not as published.
    """
    context = CommandContext.of_options(options)
    show_warnings()
    # Looked for before anything is made.
    task = context.generation().task
    with context.opened(task) as (project, scans):
        with TerminalProgress(messages) as progress:
            generation = score_unlabelled(project, scans, progress=progress).generation
        ranked = ranking(project.engine, generation)
    if as_json:
        print_json({"generation": generation, "ranking": [described(scan) for scan in ranked]})
        return
    classes = task.classes
    print_table(
        f"Least certain first, generation {generation}",
        ("scan", "estimated DSC %", *(classes if len(classes) > 1 else ()), "with"),
        [_row(scan, classes) for scan in ranked if scan.error is None],
    )
    for scan in ranked:
        if scan.error is not None:
            messages.print(f"{scan.scan}: could not be scored: {scan.error}", highlight=False, soft_wrap=True)


def described(scan: RankedScan) -> dict[str, object]:
    """A line of the ranking as JSON."""
    return {
        "scan": scan.scan,
        "estimated_dsc": scan.estimated_dsc,
        "mean_estimated_dsc": scan.mean_estimated_dsc,
        "error": scan.error,
        "leased_to": scan.leased_to,
    }


def _row(scan: RankedScan, classes: Sequence[str]) -> tuple[str, ...]:
    values = [percent((scan.estimated_dsc or {}).get(name)) for name in classes] if len(classes) > 1 else []
    holder = "" if scan.leased_to is None else scan.leased_to or "somebody"
    return (scan.scan, percent(scan.mean_estimated_dsc), *values, holder)
