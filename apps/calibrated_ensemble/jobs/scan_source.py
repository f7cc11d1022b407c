"""The scans of MONAI Label's datastore, as `lib` and `scoring` know them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monailabel.interfaces.datastore import Datastore

from apps.calibrated_ensemble.datastores.pacs_studies import PacsStudies
from lib.datasets.scans import LabelledScan, UnlabelledScan
from lib.datasets.studies_folder import FINAL
from lib.errors import InputError
from lib.task.task import Task
from scoring.score_scans import ScorableScan

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PacsScan:
    """A scan that is downloaded when its image is asked for; the attributes are those of `UnlabelledScan`."""

    name: str
    image: Callable[[], Path]
    region: Path | None = None


def labelled_scans(datastore: Datastore, task: Task) -> list[LabelledScan]:
    """List the scans with a final label, in the order of their names.

    Those of a PACS are downloaded; one that is no volume, or whose label cannot be read, is
    reported in the log and left out.

    Raises:
        UnreachableError: the PACS does not answer.
    """
    names = sorted(datastore.get_labeled_images())
    if isinstance(datastore, PacsStudies):
        scans = (_labelled_pacs_scan(datastore, task, name) for name in names)
        return [scan for scan in scans if scan is not None]
    return [
        LabelledScan(
            name=name,
            image=Path(datastore.get_image_uri(name)),
            label=Path(datastore.get_label_uri(datastore.get_label_by_image_id(name, FINAL), FINAL)),
            patient=task.patient(name),
            region=region_mask(datastore, task, name),
        )
        for name in names
    ]


def unlabelled_scans(datastore: Datastore, task: Task) -> list[ScorableScan]:
    """List the scans without a final label, in the order of their names; nothing is downloaded for that."""
    names = sorted(datastore.get_unlabeled_images())
    if isinstance(datastore, PacsStudies):
        return [PacsScan(name, _download(datastore, name), region_mask(datastore, task, name)) for name in names]
    return [
        UnlabelledScan(name=name, image=Path(datastore.get_image_uri(name)), region=region_mask(datastore, task, name))
        for name in names
    ]


def waits_for_a_label(datastore: Datastore, name: str) -> bool:
    """Whether a scan is there and has no final label, as the datastore knows at this moment."""
    if datastore.get_label_by_image_id(name, FINAL):
        return False
    if isinstance(datastore, PacsStudies):
        return datastore.series(name) is not None
    uri = datastore.get_image_uri(name)
    return bool(uri) and Path(uri).exists()


def region_mask(datastore: Datastore, task: Task, name: str) -> Path | None:
    """Give the file of a scan's region mask; None when the task names none or the scan has none."""
    if task.region is None:
        return None
    label = datastore.get_label_by_image_id(name, task.region)
    uri = datastore.get_label_uri(label, task.region) if label else ""
    return Path(uri) if uri else None


def _labelled_pacs_scan(datastore: PacsStudies, task: Task, name: str) -> LabelledScan | None:
    try:
        image = datastore.get_image_uri(name)
        label = datastore.get_label_uri(name, FINAL)
    except InputError as error:
        logger.warning("Scan %s is not trained on: %s", name, error)
        return None
    if not label:
        return None
    return LabelledScan(
        name=name,
        image=Path(image),
        label=Path(label),
        patient=datastore.patient(name),
        region=region_mask(datastore, task, name),
    )


def _download(datastore: PacsStudies, name: str) -> Callable[[], Path]:
    return lambda: Path(datastore.get_image_uri(name))
