"""Which scans and labels a MONAI Label studies folder holds."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lib.datasets.image_names import NO_SCAN, NamedImages, find_image, name_images
from lib.datasets.label_tags import FINAL, labels_folder
from lib.datasets.scan_source import PredictedScan, ScanNames
from lib.datasets.scans import LabelledScan, UnlabelledScan, stamp_files
from lib.errors import InputError
from lib.images.files import SUFFIXES
from lib.storage.file_names import shown
from lib.task.task import Task

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Studies:
    """What a studies folder holds, each part in the order of the names.

    Attributes:
        labelled: scans with a label in `labels/final`.
        unlabelled: the other scans.
        labels_without_scan: labels and region masks whose scan is not there; they are not used.
        ignored: files that are not used because of others or of what they are, each with the reason.
    """

    labelled: tuple[LabelledScan, ...]
    unlabelled: tuple[UnlabelledScan, ...]
    labels_without_scan: tuple[Path, ...] = ()
    ignored: Mapping[Path, str] = field(default_factory=dict)


def read_studies(folder: Path | str, task: Task) -> Studies:
    """List the scans of a MONAI Label studies folder: scans in its root, labels in `labels/final`.

    See `lib.datasets.image_names.name_images` for which files count.

    Args:
        folder: the studies folder.
        task: names the region tag and the patients.

    Raises:
        InputError: the folder is missing or holds no scan.
    """
    studies = _list_studies(Path(folder), task)
    if not studies.labelled and not studies.unlabelled:
        raise InputError(f"{folder}: holds no scans; put {', '.join(SUFFIXES)} files into it")
    return studies


class FolderScans:
    """The scans of a studies folder, which is listed anew each time; it is a `lib.datasets.scan_source.ScanSource`.

    Files that are not used are told in the log, once.

    Args:
        folder: the studies folder; it may be empty.
        task: names the region tag and the patients.
    """

    def __init__(self, folder: Path, task: Task):
        self._folder = Path(folder)
        self._task = task
        self._told: set[Path] = set()

    @property
    def revision(self) -> int | None:
        """None: files come and go unseen."""
        return None

    def names(self) -> ScanNames:
        """See `ScanSource.names`."""
        studies = self._list()
        labelled = frozenset(scan.name for scan in studies.labelled)
        return ScanNames(labelled | {scan.name for scan in studies.unlabelled}, labelled)

    def labelled(self) -> Sequence[LabelledScan]:
        """See `ScanSource.labelled`."""
        return self._list().labelled

    def unlabelled(self) -> Sequence[UnlabelledScan]:
        """See `ScanSource.unlabelled`."""
        return self._list().unlabelled

    def is_unlabelled(self, name: str) -> bool:
        """See `ScanSource.is_unlabelled`."""
        return find_image(self._folder, name) is not None and find_image(labels_folder(self._folder), name) is None

    def region(self, name: str) -> Path | None:
        """See `ScanSource.region`."""
        if self._task.region is None:
            return None
        return find_image(labels_folder(self._folder, self._task.region), name)

    def stamp(self, name: str) -> str:
        """See `ScanSource.stamp`."""
        return stamp_files(find_image(self._folder, name), self.region(name))

    def keep_heatmap(self, name: str, prediction: PredictedScan) -> None:
        """Keep nothing: a folder is for scans and labels."""

    def _list(self) -> Studies:
        studies = _list_studies(self._folder, self._task)
        remarks = dict.fromkeys(studies.labels_without_scan, NO_SCAN)
        for path, remark in (dict(studies.ignored) | remarks).items():
            if path not in self._told:
                self._told.add(path)
                logger.warning("%s: %s", shown(path), remark)
        return studies


def _list_studies(folder: Path, task: Task) -> Studies:
    if not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder; give a studies folder, with scans in it and labels in labels/{FINAL}"
        )
    images, labels = name_images(folder), name_images(labels_folder(folder))
    regions = name_images(labels_folder(folder, task.region)) if task.region else NamedImages({}, {})
    return Studies(
        labelled=tuple(
            LabelledScan(name, image, labels.files[name], task.patient(name), regions.files.get(name))
            for name, image in images.files.items()
            if name in labels.files
        ),
        unlabelled=tuple(
            UnlabelledScan(name, image, regions.files.get(name))
            for name, image in images.files.items()
            if name not in labels.files
        ),
        labels_without_scan=tuple(
            path for files in (labels.files, regions.files) for name, path in files.items() if name not in images.files
        ),
        ignored={**images.ignored, **labels.ignored, **regions.ignored},
    )
