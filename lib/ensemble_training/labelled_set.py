"""The labelled scans as they are now, prepared for training."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib.datasets.scans import (
    LabelledScan,
    digest_labelled_scan,
    read_labelled_scan,
    warn_of_patients,
    warn_of_voxels_outside,
)
from lib.errors import BusyError, InputError
from lib.images.region import inside_region
from lib.images.volume import Volume
from lib.models.workspace import Workspace
from lib.preprocessing.fingerprint import Fingerprint, ScanFingerprint, fingerprint_scan
from lib.preprocessing.plan import Plan, make_plan
from lib.preprocessing.prepared_scans import PreparedScan, prepare_scan, remove_unused_scans
from lib.progress import Progress
from lib.task.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledSet:
    """The labelled scans, and what follows from them alone.

    Attributes:
        plan: preprocessing.
        typical_volumes: mean volume of each class in mm3, over the scans that hold it.
        scans: those that can be used.
        fold_of_patient: fold in which each patient's scans are held out.
        left_out: name of a scan that cannot be used to the reason.
    """

    plan: Plan
    typical_volumes: tuple[float, ...]
    scans: tuple[PreparedScan, ...]
    fold_of_patient: Mapping[str, int]
    left_out: Mapping[str, str]


def prepare_labelled_set(
    task: Task, scans: Sequence[LabelledScan], workspace: Workspace, progress: Progress
) -> LabelledSet:
    """Read, fingerprint, plan and prepare the labelled scans; folds and prepared scans are kept in the workspace.

    A scan that cannot be read is left out, with a warning. Prepared scans of other labels or another plan are
    removed from the workspace.

    Args:
        task: settings.
        scans: labelled scans.
        workspace: where folds and prepared scans are kept.
        progress: stage "reading".

    Raises:
        InputError: there are no usable labels, or fewer patients than folds.
        BusyError: so many labels changed while they were read that too few are left.
    """
    if not scans:
        raise InputError(
            "no scan has a label yet; label some, or put labels named like their scans into labels/final of the studies"
        )
    warn_of_patients(scans, task)
    left_out: dict[str, str] = {}
    digests: dict[LabelledScan, str] = {}
    fingerprints: list[ScanFingerprint] = []
    for number, scan in enumerate(scans, 1):
        try:
            image, label, region = read_labelled_scan(scan, task)
            digest = digest_labelled_scan(scan)
        except (InputError, FileNotFoundError) as error:
            logger.warning("Left out of training: %s", error)
            left_out[scan.name] = str(error)
        else:
            if task.region and region is None:
                logger.warning("%s: has no region mask labels/%s; it is used whole", scan.name, task.region)
            warn_of_voxels_outside(scan, label, region)
            inside = inside_region(label.array, None if region is None else region.array)
            fingerprints.append(fingerprint_scan(image, Volume(inside, label.affine), task))
            digests[scan] = digest
        progress("reading", number, 2 * len(scans))
    if not digests:
        raise InputError(
            f"none of the {len(scans)} labelled scans can be used; the first: {next(iter(left_out.values()))}"
        )
    fingerprint = Fingerprint.merge(fingerprints, task)
    plan = make_plan(task, fingerprint)
    patients = sorted({scan.patient for scan in digests})
    folds = workspace.assign_folds(patients, fold_count=task.fold_count, seed=task.seed)
    prepared = []
    for number, (scan, digest) in enumerate(digests.items(), 1):
        try:
            prepared.append(prepare_scan(scan, task=task, plan=plan, digest=digest, folder=workspace.prepared_scans))
        except (InputError, BusyError, FileNotFoundError) as error:
            # An annotator may have corrected the label since it was read for the first time.
            if not _changed(scan, digest):
                raise
            logger.warning("Left out of training: %s", error)
            left_out[scan.name] = str(error)
        progress("reading", len(scans) + number, len(scans) + len(digests))
    kept = {scan.patient for scan in prepared}
    folds = {patient: fold for patient, fold in folds.items() if patient in kept}
    if len(set(folds.values())) < task.fold_count:
        raise BusyError(f"labels: changed while they were read ({next(iter(left_out.values()))}); train again")
    remove_unused_scans(workspace.prepared_scans, prepared)
    return LabelledSet(plan, fingerprint.typical_volumes, tuple(prepared), folds, left_out)


def _changed(scan: LabelledScan, digest: str) -> bool:
    try:
        return digest_labelled_scan(scan) != digest
    except FileNotFoundError:
        return True
