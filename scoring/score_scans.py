"""Scoring all unlabelled scans with the current generation, so that it can be stopped at any moment."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Engine

from lib.datasets.scan_source import ScorableScan, path_of
from lib.datasets.scans import digest_files
from lib.errors import DamagedGenerationError, InputError, StorageError, UnreachableError
from lib.images.files import read_scan
from lib.images.region import EMPTY, read_region
from lib.images.volume import Volume
from lib.models.prediction import Prediction
from lib.progress import Progress, silent
from lib.storage.disk import is_disk_full
from scoring.database.score_records import Scored, keep_score, record_failure, record_score, scans_done

logger = logging.getLogger(__name__)

RETRY_SECONDS = 900.0
"""A scan that failed is left alone for this long, however often a scoring run is started."""


class ScoringGeneration(Protocol):
    """What a scoring run needs to know of a generation (`lib.models.generation.Generation` has it)."""

    @property
    def id(self) -> str:
        """Name that scores are stored under."""


class Predictor(Protocol):
    """What predicts (`lib.models.ensemble.Ensemble` does)."""

    @property
    def generation(self) -> ScoringGeneration:
        """The generation that predicts."""

    def predict(self, scan: Volume, region: Volume | None = None, /) -> Prediction:
        """Predict one scan."""


PredictionListener = Callable[[str, Prediction], None]
"""Called with the name of a scan and what was predicted for it."""


@dataclass(frozen=True)
class ScoringReport:
    """What a scoring run did.

    Attributes:
        generation: id of the generation.
        scored: scans that got a score.
        failed: name and reason of each scan that did not.
        skipped: scans that had a score or a label, or failed a moment ago.
        seconds: what it took.
    """

    generation: str
    scored: int
    failed: tuple[tuple[str, str], ...]
    skipped: int
    seconds: float


def score_scans(
    engine: Engine,
    ensemble: Predictor,
    scans: Iterable[ScorableScan],
    *,
    progress: Progress = silent,
    retry_seconds: float = RETRY_SECONDS,
    on_prediction: PredictionListener | None = None,
) -> ScoringReport:
    """Score the scans that have no score for the generation of the ensemble.

    A score is of the content of the scan and its region mask: one whose file was replaced, or whose mask came
    later, is scored again; files that were only written again, with the same content, are not.
    Each score is committed on its own: a run that is killed loses the scan it was at, and the next
    one goes on there. A scan that cannot be read, fetched or
    predicted is recorded with the reason; the rest goes on, and a run that starts
    `retry_seconds` later, or when its files have changed, tries it again. One for which the memory
    is too small just now is not recorded: the next run tries it again.

    Args:
        engine: from `open_database`.
        ensemble: predicts.
        scans: those to score; labelled ones are left out.
        progress: told after each scan, stage "scoring", with the figures `failed` and, when the scan
            was scored, `estimated_dsc`.
        retry_seconds: for how long a failure stands; 0 tries all failures again.
        on_prediction: told each prediction, for those who want to keep it.

    Raises:
        DatabaseError: the database cannot be used, which does end the run.
        UnreachableError: nothing can be fetched at present, which ends the run as well.
        StorageError: a disk is full or cannot be written to, which is no fault of the scan's and ends the run too.
    """
    start = time.time()
    generation = ensemble.generation
    failed_before = start - retry_seconds
    scans = list(scans)
    done = scans_done(engine, generation.id, failed_before=failed_before)
    waiting = [scan for scan in scans if not done.covers(scan.name, scan.stamp)]
    scored = 0
    failed: list[tuple[str, str]] = []
    for index, scan in enumerate(waiting):
        figures: dict[str, float] = {}
        # A file that is written after its stamp was taken has another one the next time.
        stamp, began = scan.stamp, time.perf_counter()
        now_done = scans_done(engine, generation.id, failed_before=failed_before, scan=scan.name)
        # Since the start, another run may have scored it, or an annotator labelled it.
        if not now_done.covers(scan.name, stamp):
            try:
                mean = _score(engine, ensemble, scan, stamp, on_prediction)
                if mean is not None:
                    figures["estimated_dsc"] = mean
                    scored += 1
            except (UnreachableError, StorageError, DamagedGenerationError):
                raise
            except Exception as error:  # whatever a reader, a download or a network raises must not stop the rest
                if is_disk_full(error):
                    raise StorageError(f"{scan.name}: cannot be scored ({error}); free some space") from error
                if not isinstance(error, InputError):
                    logger.exception("Scan %s could not be scored", scan.name)
                reason = _reason(error)
                if not isinstance(error, MemoryError):
                    seconds, tried = time.perf_counter() - began, Scored(stamp)
                    record_failure(engine, scan.name, generation.id, reason, seconds=seconds, scored=tried)
                failed.append((scan.name, reason))
        progress("scoring", index + 1, len(waiting), failed=len(failed), **figures)
    return ScoringReport(
        generation=generation.id,
        scored=scored,
        failed=tuple(failed),
        skipped=len(scans) - scored - len(failed),
        seconds=time.time() - start,
    )


def _score(
    engine: Engine, ensemble: Predictor, scan: ScorableScan, stamp: str, on_prediction: PredictionListener | None
) -> float | None:
    """Score a scan and give the mean estimate; None where the content with this stamp had its score already."""
    generation, began = ensemble.generation.id, time.perf_counter()
    files = Scored(stamp, _digest(scan))
    if keep_score(engine, scan.name, generation, files):
        return None
    classes = _estimate(ensemble, scan, on_prediction)
    seconds = time.perf_counter() - began
    return record_score(engine, scan.name, generation, classes, seconds=seconds, scored=files)


def _estimate(ensemble: Predictor, scan: ScorableScan, on_prediction: PredictionListener | None) -> Mapping[str, float]:
    volume = read_scan(path_of(scan.image))
    mask = None if scan.region is None else path_of(scan.region)
    region = None if mask is None else read_region(mask, volume)
    if region is not None and not region.array.any():
        raise InputError(f"{mask}: {EMPTY}")
    prediction = ensemble.predict(volume, region)
    if on_prediction is not None:
        on_prediction(scan.name, prediction)
    return prediction.estimated_dsc


def _digest(scan: ScorableScan) -> str | None:
    """Digest of the scan's files; None where one cannot be read, of which the reader says more."""
    try:
        return digest_files(path_of(scan.image), None if scan.region is None else path_of(scan.region))
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        return None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
