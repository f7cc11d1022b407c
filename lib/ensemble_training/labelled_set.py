"""The labelled scans as they are now, prepared for training."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib.datasets.scan_failures import scan_failure
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
from lib.storage.digest import digest_file
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
        label_digests: digest of the label file of each of these scans, by its name.
        left_out: name of a scan that cannot be used to the reason.
    """

    plan: Plan
    typical_volumes: tuple[float, ...]
    scans: tuple[PreparedScan, ...]
    fold_of_patient: Mapping[str, int]
    label_digests: Mapping[str, str]
    left_out: Mapping[str, str]


def prepare_labelled_set(
    task: Task, scans: Sequence[LabelledScan], workspace: Workspace, progress: Progress
) -> LabelledSet:
    """Read, fingerprint, plan and prepare the labelled scans; folds and prepared scans are kept in the workspace.

    A scan that cannot be used, for whatever reason, is left out with a warning. Prepared scans of other
    labels or another plan are removed from the workspace.

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
    label_digests: dict[str, str] = {}
    fingerprints: list[ScanFingerprint] = []
    for number, scan in enumerate(scans, 1):
        try:
            image, label, region = read_labelled_scan(scan, task)
            digest = digest_labelled_scan(scan)
            inside = inside_region(label.array, None if region is None else region.array)
            fingerprint = fingerprint_scan(image, Volume(inside, label.affine), task)
        except Exception as error:  # whatever one scan raises must not stop the rest
            _leave_out(scan, error, left_out)
        else:
            warn_of_voxels_outside(scan, label, region)
            if task.region and region is None:
                logger.warning("%s: has no region mask labels/%s; it is used whole", scan.name, task.region)
            fingerprints.append(fingerprint)
            digests[scan] = digest
            label_digests[scan.name] = digest_file(scan.label)
        progress("reading", number, 2 * len(scans))
    if not digests:
        raise InputError(
            f"none of the {len(scans)} labelled scans can be used; the first: {next(iter(left_out.values()))}"
        )
    merged = Fingerprint.merge(fingerprints, task)
    plan = make_plan(task, merged)
    patients = sorted({scan.patient for scan in digests})
    folds = workspace.assign_folds(patients, fold_count=task.fold_count, seed=task.seed)
    prepared, changed = [], False
    for number, (scan, digest) in enumerate(digests.items(), 1):
        try:
            prepared.append(prepare_scan(scan, task=task, plan=plan, digest=digest, folder=workspace.prepared_scans))
        except Exception as error:  # as above; an annotator may also have corrected the label since it was read
            changed = changed or _changed(scan, digest)
            _leave_out(scan, error, left_out)
        progress("reading", len(scans) + number, len(scans) + len(digests))
    kept = {scan.patient for scan in prepared}
    folds = {patient: fold for patient, fold in folds.items() if patient in kept}
    if len(set(folds.values())) < task.fold_count:
        if changed:
            raise BusyError(f"labels: changed while they were read ({next(iter(left_out.values()))}); train again")
        raise InputError(
            f"labels: only {len(prepared)} of {len(scans)} scans can be used ({next(iter(left_out.values()))}); "
            "correct these and train again"
        )
    remove_unused_scans(workspace.prepared_scans, prepared)
    label_digests = {scan.name: label_digests[scan.name] for scan in prepared}
    return LabelledSet(plan, merged.typical_volumes, tuple(prepared), folds, label_digests, left_out)


def _changed(scan: LabelledScan, digest: str) -> bool:
    try:
        return digest_labelled_scan(scan) != digest
    except OSError:
        return True


def _leave_out(scan: LabelledScan, error: Exception, left_out: dict[str, str]) -> None:
    # One that changed while it was read leaves the others as they are.
    left_out[scan.name] = reason = str(error) if isinstance(error, BusyError) else scan_failure(error, scan.name)
    logger.warning("Left out of training: %s", reason)
