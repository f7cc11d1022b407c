"""The unlabelled scans as the model of a round sees them."""

from collections.abc import Sequence

import numpy as np

from benchmarks.active_learning.assessment import assess_scan
from benchmarks.active_learning.choice import AssessedCandidates, standardise
from benchmarks.active_learning.encoder_features import run_with_features
from benchmarks.active_learning.round_records import Candidate
from lib.datasets.scans import LabelledScan
from lib.images.files import read_scan
from lib.models.ensemble import Ensemble
from lib.progress import Progress
from scoring.strategies.k_centre import nearest_distances


def assess_candidates(
    ensemble: Ensemble,
    unlabelled: Sequence[LabelledScan],
    labelled: Sequence[LabelledScan],
    progress: Progress,
) -> tuple[AssessedCandidates, dict[str, Candidate]]:
    """Assess all unlabelled scans.

    Args:
        ensemble: the current model.
        unlabelled: scans that may be chosen, at least one.
        labelled: scans that it was trained on, at least one.
        progress: stage "assessing".

    Returns:
        What strategies choose by, in the order of `unlabelled`; and what is kept, by the scans' names.

    Raises:
        InputError: a scan or label cannot be used.
    """
    assessments, known = {}, []
    for done, scan in enumerate(unlabelled, 1):
        assessments[scan.name] = assess_scan(ensemble, scan)
        progress("assessing", done, len(unlabelled) + len(labelled))
    for done, scan in enumerate(labelled, 1 + len(unlabelled)):
        known.append(run_with_features(ensemble, ensemble.preprocessing.apply_to_scan(read_scan(scan.image)))[1])
        progress("assessing", done, len(unlabelled) + len(labelled))
    features = standardise(np.stack([one.features for one in assessments.values()] + known))
    ours, theirs = np.split(features, [len(unlabelled)])
    kept = {
        name: Candidate(
            estimated_dsc=one.estimated_dsc,
            true_dsc=one.true_dsc,
            entropy=one.entropy,
            volume=one.volume,
            distance=float(distance),
        )
        for (name, one), distance in zip(assessments.items(), nearest_distances(ours, theirs), strict=True)
    }
    candidates = AssessedCandidates(
        names=tuple(assessments),
        estimated_dsc=np.array([one.estimated_dsc for one in assessments.values()]),
        entropy=np.array([one.entropy for one in assessments.values()]),
        features=ours,
        labelled_features=theirs,
    )
    return candidates, kept
