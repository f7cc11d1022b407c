"""`retrain`: what a nightly trigger calls."""

import json
import os
from dataclasses import asdict

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.retraining.night import plan_night, retrain
from apps.calibrated_ensemble.retraining.on_server import retrain_on_server
from apps.calibrated_ensemble.retraining.options import RetrainingOptions
from apps.calibrated_ensemble.retraining.summary import Night, Outcome
from apps.calibrated_ensemble.terminal.exit_status import DONE, HELD_BACK, OUT_OF_TIME
from apps.calibrated_ensemble.terminal.output import messages, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from lib.errors import InputError

_STATUSES = {Outcome.HELD_BACK: HELD_BACK, Outcome.OUT_OF_TIME: OUT_OF_TIME}


def run_retrain(
    options: CommandOptions, night: RetrainingOptions, *, server: str | None, dry_run: bool, as_json: bool
) -> int:
    """Do a night's work and print what it came to: one line of JSON, or lines for a person.

    Args:
        options: studies, task and workspace; the server's own where one is given.
        night: when to train, for how long, and what may be published.
        server: URL of a running server that does the work; None to do it here.
        dry_run: only say what would be done.
        as_json: for machines.

    Returns:
        0 done or nothing to do, 3 where the new generation is held back, 5 where the time was over.

    Raises:
        InputError: studies and a server, or neither; see also `CommandContext.opened`.
        BusyError: another night or training runs in this workspace.
        ProductError: see `apps.calibrated_ensemble.retraining.night.retrain`.
    """
    show_warnings()
    if (server is None) == (options.studies is None):
        raise InputError("--studies: give either the studies, or --server with the address of a running server")
    if server is not None:
        if dry_run:
            raise InputError("--dry-run: a server is asked to work, not to plan; give --studies instead of --server")
        summary = retrain_on_server(server, night, token=os.environ.get("CALIBRATED_ENSEMBLE_TOKEN") or None)
        return _tell(Night.from_json(summary), as_json=as_json)
    context = CommandContext.of_options(options)
    with context.opened(context.task_settings()) as (project, scans):
        if dry_run:
            decision = plan_night(project, scans, night)
            if as_json:
                print(json.dumps(asdict(decision)))
            else:
                print(f"{'It would train' if decision.train else 'Nothing to train'}: {decision.reason}.")
            return DONE
        with TerminalProgress(messages) as progress:
            done = retrain(project, scans, night, progress=progress)
    return _tell(done, as_json=as_json)


def _tell(night: Night, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(night.to_json()))
    else:
        print("\n".join(night.to_lines()))
    return _STATUSES.get(night.outcome, DONE)
