"""Every figure of the page, as one JSON value."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from apps.calibrated_ensemble.jobs.train_stats import read_train_stats
from apps.calibrated_ensemble.project import Project
from lib.metrics.learning_curve import FEWEST, forecast_dice
from lib.publication.listing import ListedGeneration, Standing, list_generations
from scoring.database.nights import recent_nights
from scoring.worklist.estimates import estimates_of_unlabelled, mean_estimates
from scoring.worklist.label_history import labels_by_day
from scoring.worklist.queue_state import queue_state
from scoring.worklist.ranking import ranking

_DAYS = 60
_BINS = 20
_WORKLIST = 20
_NIGHTS = 14
_MORE_LABELS = (10, 25, 50, 100)


def progress_figures(project: Project, study_of: Callable[[str], str | None]) -> dict[str, Any]:
    """Gather what is known of the work so far.

    Args:
        project: whose workspace and database are read.
        study_of: StudyInstanceUID of a scan, for the link that opens it in the viewer; None without a viewer.

    Returns:
        `served`, id of the current generation; `scans`, numbers by kind; `labels`, by day and annotator;
        `generations`, oldest first, baselines left out; `estimates`, of the scans that are left; `forecast`, of more
        labels; `worklist`, the least certain scans; `training`, of a run that is going on; `nights`, the last ones.

    Raises:
        DatabaseError: the database cannot be read.
    """
    engine, served = project.engine, project.workspace.current()
    nights = recent_nights(engine, limit=200)
    generations = _generations(list_generations(project.workspace), nights, mean_estimates(engine))
    return {
        "served": served,
        "scans": queue_state(engine, generation=served).counts,
        "labels": [
            {"day": day.day.isoformat(), "annotator": day.annotator, "labels": day.labels}
            for day in labels_by_day(engine, since=time.time() - timedelta(days=_DAYS).total_seconds())
        ],
        "generations": generations,
        "estimates": _estimates([] if served is None else estimates_of_unlabelled(engine, served)),
        "forecast": _forecast(generations),
        "worklist": [
            {
                "scan": scan.scan,
                "estimated_dsc": scan.mean_estimated_dsc,
                "leased_to": None if scan.leased_to is None else scan.leased_to or "an annotator",
                "study": study_of(scan.scan),
            }
            for scan in ranking(engine, served, limit=_WORKLIST)
            if scan.error is None
        ],
        "training": _training(read_train_stats(project.workspace.root / "train_stats" / "ensemble.json")),
        "nights": nights[:_NIGHTS],
    }


def _generations(
    listed: Sequence[ListedGeneration], nights: Sequence[Mapping[str, Any]], estimates: Mapping[str, Any]
) -> list[dict[str, Any]]:
    errors = {night["candidate"]: (night["compared"].get("calibration_error") or {}).get("after") for night in nights}
    rows = []
    for one in reversed(listed):
        if one.generation is None or one.standing is Standing.BASELINE:
            continue
        metrics = one.generation.metrics
        estimate = estimates.get(one.id)
        rows.append(
            {
                "id": one.id,
                "published": f"{one.generation.published:%Y-%m-%dT%H:%M:%SZ}",
                "standing": one.standing,
                "reasons": list(one.reasons),
                "labels": metrics["scans"],
                "dice": dict(metrics["dice"]),
                "mean_dice": _mean(metrics["dice"].values()),
                "calibration_error": errors.get(one.id),
                "expected_dice": None if estimate is None else estimate.mean,
                "expected_of": 0 if estimate is None else estimate.scans,
            }
        )
    return rows


def _estimates(values: Sequence[float]) -> dict[str, Any]:
    counts, edges = np.histogram(values, bins=_BINS, range=(0, 1))
    return {
        "scans": len(values),
        "mean": _mean(values),
        "bins": [
            {"from": float(low), "to": float(high), "scans": int(count)}
            for low, high, count in zip(edges, edges[1:], counts, strict=False)
        ],
    }


def _forecast(generations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    # What was held back is not what the labels can bring.
    known = [
        (row["labels"], row["mean_dice"])
        for row in generations
        if row["mean_dice"] is not None and row["standing"] != Standing.HELD_BACK
    ]
    labels, dice = np.array(sorted(known)).reshape(-1, 2).T
    latest = int(labels.max()) if labels.size else 0
    forecasts = forecast_dice(labels, dice, np.array([latest + more for more in _MORE_LABELS]))
    return {
        "too_early": forecasts is None,
        "generations_needed": FEWEST,
        "points": [
            {"more_labels": more, "labels": one.labels, "dice": one.dice, "low": one.low, "high": one.high}
            for more, one in zip(_MORE_LABELS, forecasts or [], strict=False)
        ],
    }


def _training(stats: Mapping[str, Any]) -> dict[str, Any] | None:
    """How far a training is, None where none runs; `seconds_left` follows from the steps so far."""
    if "current_time" not in stats:
        return None
    done, total = stats["epoch"], max(1, stats["total_epochs"])
    elapsed = time.time() - stats["start_ts"]
    left = elapsed * (total - done) / done if done else None
    return {"stage": stats["stage"], "step": done, "steps": total, "seconds_left": left}


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
