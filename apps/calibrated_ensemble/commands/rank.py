"""`rank`: the unlabelled scans, least certain first."""

from collections.abc import Sequence

from sqlalchemy import Engine

from apps.calibrated_ensemble.commands.choice import Choice
from apps.calibrated_ensemble.terminal.output import messages, percent, print_json, print_table, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from lib.datasets.studies_folder import Studies, read_studies
from lib.models.ensemble import Ensemble
from scoring.database.scan_list import synchronise_scans
from scoring.score_scans import Predictor, score_scans
from scoring.worklist.ranking import RankedScan, ranking


def run_rank(choice: Choice, *, as_json: bool) -> None:
    """Score what has no score yet, and print the ranking.

    Raises:
        InputError: see `lib.datasets.studies_folder.read_studies` and `Choice.generation`; no such device.
        DamagedGenerationError: the generation's files are not as published.
    """
    show_warnings()
    generation = choice.generation()
    studies = read_studies(choice.studies_folder(), generation.task)
    ensemble = Ensemble(generation, device=choice.settings.device)
    with choice.existing_workspace().scoring_lock():
        ranked = score_and_rank(choice.database(), ensemble, studies)
    if as_json:
        print_json({"generation": generation.id, "ranking": [described(scan) for scan in ranked]})
        return
    classes = generation.task.classes
    print_table(
        f"Least certain first, generation {generation.id}",
        ("scan", "estimated DSC %", *(classes if len(classes) > 1 else ()), "with"),
        [_row(scan, classes) for scan in ranked if scan.error is None],
    )
    for scan in ranked:
        if scan.error is not None:
            messages.print(f"{scan.scan}: could not be scored: {scan.error}", highlight=False, soft_wrap=True)


def score_and_rank(engine: Engine, ensemble: Predictor, studies: Studies) -> list[RankedScan]:
    """Bring the database up to date with the studies and the ensemble's generation, and give the ranking.

    Raises:
        InputError: a database that cannot be written to.
    """
    labelled = {scan.name for scan in studies.labelled}
    synchronise_scans(engine, labelled | {scan.name for scan in studies.unlabelled}, labelled)
    with TerminalProgress(messages) as progress:
        score_scans(engine, ensemble, studies.unlabelled, progress=progress)
    return ranking(engine, ensemble.generation.id)


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
