"""One night: decide, train, judge, publish, score, tell."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from apps.calibrated_ensemble.jobs.score_unlabelled import score_unlabelled
from apps.calibrated_ensemble.jobs.train import train
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.retraining.deadline import Deadline, OutOfTimeError
from apps.calibrated_ensemble.retraining.decision import Decision, decide, label_changes
from apps.calibrated_ensemble.retraining.lock import only_retraining
from apps.calibrated_ensemble.retraining.options import RetrainingOptions
from apps.calibrated_ensemble.retraining.summary import Night, Outcome
from apps.calibrated_ensemble.retraining.webhook import post_summary
from lib.datasets.scan_source import ScanSource
from lib.errors import DamagedGenerationError, NotTrainedError
from lib.models.generation import Generation
from lib.progress import Progress
from lib.publication.gate import GateReport, judge_candidate
from lib.publication.held_back import read_held_back
from scoring.database.nights import labels_by_annotator, record_night
from scoring.score_scans import ScoringReport
from scoring.worklist.ranking import ranking

logger = logging.getLogger(__name__)


def plan_night(project: Project, scans: ScanSource, options: RetrainingOptions) -> Decision:
    """Decide what a night would do, and change nothing.

    Raises:
        InputError: see `lib.datasets.scan_source.ScanSource.names`.
        UnreachableError: the PACS does not answer.
    """
    current = _current(project)
    return decide(label_changes(scans.labelled(), current), current, options)


def retrain(
    project: Project,
    scans: ScanSource,
    options: RetrainingOptions,
    *,
    progress: Progress,
    on_published: Callable[[Generation], None] | None = None,
) -> Night:
    """Do a night's work, and keep and post what it came to.

    Args:
        project: settings, and where everything is kept.
        scans: where labelled and unlabelled scans come from.
        options: what the night was told.
        progress: stages of `apps.calibrated_ensemble.jobs.train.train`.
        on_published: told the new generation, served or held back, before scoring starts.

    Raises:
        BusyError: another night or training runs in this workspace.
        ProductError: see `apps.calibrated_ensemble.jobs.train.train`.
        FloatingPointError: the training diverged.
    """
    with only_retraining(project.workspace):
        run = _Run(project, scans, options, Deadline(progress, options.max_hours), on_published)
        night = run.finish()
        record_night(project.engine, night.to_json(), time=time.time())
    if options.webhook is not None:
        post_summary(options.webhook, night.to_json())
    return night


class _Run:
    """One night's work, as far as it came."""

    def __init__(
        self,
        project: Project,
        scans: ScanSource,
        options: RetrainingOptions,
        progress: Progress,
        on_published: Callable[[Generation], None] | None,
    ):
        self._on_published = on_published
        self._project = project
        self._scans = scans
        self._options = options
        self._progress = progress
        self._began = time.monotonic()
        self._started = datetime.now(UTC)
        self._before = _current(project)
        self._decision = plan_night(project, scans, options)
        self._candidate: Generation | None = None
        self._scoring: ScoringReport | None = None
        self._compared: Mapping[str, Any] = {}

    def finish(self) -> Night:
        try:
            outcome = self._train() if self._decision.train else self._only_score()
        except OutOfTimeError:
            outcome = Outcome.OUT_OF_TIME
        return self._summary(outcome)

    def _train(self) -> Outcome:
        trained = train(self._project, self._scans, progress=self._progress, gate=self._judge, on_published=self._note)
        self._scoring = trained.scoring
        if self._project.workspace.current() != (self._candidate and self._candidate.id):
            return Outcome.HELD_BACK
        return Outcome.UNCHANGED if self._candidate == self._before else Outcome.PUBLISHED

    def _only_score(self) -> Outcome:
        # Scans, and masks of their regions, arrive without a label being drawn.
        if self._before is not None:
            self._scoring = score_unlabelled(self._project, self._scans, progress=self._progress)
        return Outcome.NOTHING_TO_DO

    def _judge(self, candidate: Generation, served: Generation | None) -> tuple[str, ...]:
        report: GateReport = judge_candidate(candidate, served, self._options.tolerance)
        self._compared = report.figures
        return report.reasons

    def _note(self, generation: Generation) -> None:
        self._candidate = generation
        if self._on_published is not None:
            self._on_published(generation)

    def _summary(self, outcome: Outcome) -> Night:
        project, changes = self._project, self._decision.changes
        served = project.workspace.current()
        estimates = [] if served is None else ranking(project.engine, served)
        known = [scan.mean_estimated_dsc for scan in estimates if scan.mean_estimated_dsc is not None]
        since = 0.0 if self._before is None else self._before.published.timestamp()
        night = Night(
            outcome=outcome,
            reason=self._decision.reason,
            started=f"{self._started:%Y-%m-%dT%H:%M:%SZ}",
            hours=round((time.monotonic() - self._began) / 3600, 4),
            served=served,
            labels={
                "added": len(changes.added),
                "changed": len(changes.changed),
                "removed": len(changes.removed),
            },
            annotators=labels_by_annotator(project.engine, since=since),
            compared=dict(self._compared),
            left=len(self._scans.names().all - self._scans.names().labelled),
            expected_dice=sum(known) / len(known) if known else None,
        )
        if self._candidate is not None:
            decision = read_held_back(self._candidate)
            night = replace(
                night,
                candidate=self._candidate.id,
                held_back=() if decision is None else decision.reasons,
                dice=dict(self._candidate.metrics["dice"]),
            )
        if self._scoring is not None:
            night = replace(night, scored=self._scoring.scored, failed=dict(self._scoring.failed))
        return night


def _current(project: Project) -> Generation | None:
    """The current generation; None before the first, and where it is damaged, so that the night makes it anew."""
    try:
        return project.workspace.generation()
    except NotTrainedError:
        return None
    except DamagedGenerationError as error:
        logger.warning("Trained again: %s", error)
        return None
