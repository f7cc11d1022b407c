"""`retrain`: what a nightly trigger calls."""

import json
from dataclasses import asdict

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.retraining.night import plan_night, retrain
from apps.calibrated_ensemble.retraining.options import RetrainingOptions
from apps.calibrated_ensemble.retraining.summary import Outcome
from apps.calibrated_ensemble.terminal.exit_status import DONE, HELD_BACK, OUT_OF_TIME
from apps.calibrated_ensemble.terminal.output import messages, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress

_STATUSES = {Outcome.HELD_BACK: HELD_BACK, Outcome.OUT_OF_TIME: OUT_OF_TIME}


def run_retrain(options: CommandOptions, night: RetrainingOptions, *, dry_run: bool, as_json: bool) -> int:
    """Do a night's work and print what it came to: one line of JSON, or lines for a person.

    Args:
        options: studies, task and workspace.
        night: when to train, for how long, and what may be published.
        dry_run: only say what would be done.
        as_json: for machines.

    Returns:
        0 done or nothing to do, 3 where the new generation is held back, 5 where the time was over.

    Raises:
        BusyError: another night or training runs in this workspace.
        ProductError: see `apps.calibrated_ensemble.retraining.night.retrain`.
    """
    context = CommandContext.of_options(options)
    show_warnings()
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
    if as_json:
        print(json.dumps(done.to_json()))
    else:
        print("\n".join(done.to_lines()))
    return _STATUSES.get(done.outcome, DONE)
