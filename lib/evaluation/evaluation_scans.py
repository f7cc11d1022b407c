"""Which scans of a data set a generation may be judged by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lib.datasets.decathlon import read_data_set
from lib.datasets.scans import LabelledScan
from lib.errors import InputError
from lib.models.generation import Generation


class AllTrainedOnError(InputError):
    """A model was trained on all scans that are to judge it."""


@dataclass(frozen=True)
class EvaluationScans:
    """Labelled scans, each part in the order of the names.

    Attributes:
        evaluated: scans that all members predict.
        trained: names of those that the generation was trained on; their figures flatter it.
        out_of_fold: scans of patients that it was trained on, each with the one fold that has not
            seen them: what the widths of intervals are taken from.
        left_out: how many scans of the data set are not evaluated, since the generation was trained on them.
        unlabelled: how many scans of the data set have no label.
    """

    evaluated: tuple[LabelledScan, ...]
    trained: frozenset[str]
    out_of_fold: tuple[tuple[LabelledScan, int], ...]
    left_out: int
    unlabelled: int = 0


def select_scans(
    images: Path,
    labels: Path,
    generation: Generation,
    *,
    regions: Path | None,
    include_trained: bool,
    studies: Sequence[LabelledScan] = (),
) -> EvaluationScans:
    """List the scans of a Decathlon or nnU-Net style data set that have a label.

    A scan counts as trained on when its patient was: generations know the names of their patients, not
    the contents of their files, so that a scan under a new name is taken for a new one.

    Args:
        images: folder of scans.
        labels: folder of labels, named like the scans.
        generation: what is judged.
        regions: folder of region masks, named like the labels.
        include_trained: evaluate scans that it was trained on as well.
        studies: labelled scans beside the data set; those that it was trained on add to `out_of_fold`.

    Raises:
        InputError: a folder is missing or empty, no label matches a scan, region masks for a task
            without region.
        AllTrainedOnError: nothing is left to evaluate.
    """
    if regions is not None and generation.task.region is None:
        raise InputError(
            f"{regions}: the model's task {generation.task.name} has no region; leave the region masks out"
        )
    data_set = read_data_set(images, labels, generation.task, regions=regions)
    chosen = divide_scans(
        data_set.labelled, generation, include_trained=include_trained, studies=studies, where=str(images)
    )
    return replace(chosen, unlabelled=data_set.unlabelled)


def divide_scans(
    labelled: Sequence[LabelledScan],
    generation: Generation,
    *,
    include_trained: bool,
    studies: Sequence[LabelledScan],
    where: str,
) -> EvaluationScans:
    """Divide labelled scans into those that may judge a generation and those that it was trained on.

    Args:
        labelled: the scans.
        generation: what is judged.
        include_trained: evaluate scans that it was trained on as well.
        studies: further labelled scans; those that it was trained on add to `out_of_fold`.
        where: what the scans are from, for messages.

    Raises:
        InputError: nothing is left to evaluate.
    """
    folds = generation.fold_of_patient
    trained = [scan for scan in labelled if scan.patient in folds]
    evaluated = tuple(scan for scan in labelled if include_trained or scan.patient not in folds)
    if not evaluated:
        raise AllTrainedOnError(
            f"{where}: the model was trained on the patients of all {len(labelled)} labelled scans; "
            "give scans that it has not seen"
        )
    seen = {scan.name: scan for scan in studies if scan.patient in folds} | {scan.name: scan for scan in trained}
    by_fold = sorted(seen.values(), key=lambda scan: (folds[scan.patient], scan.name))
    return EvaluationScans(
        evaluated=evaluated,
        trained=frozenset(scan.name for scan in trained) if include_trained else frozenset(),
        out_of_fold=tuple((scan, folds[scan.patient]) for scan in by_fold),
        left_out=0 if include_trained else len(trained),
    )
