"""The scans of a PACS as MONAI Label's datastore, with labels as DICOM segmentations."""

import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from monailabel.datastore.dicom import DICOMWebDatastore
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException

from apps.calibrated_ensemble.annotator import annotator_of
from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission, ReviewedLabel
from apps.calibrated_ensemble.datastores.label_versions import StandingLabel
from apps.calibrated_ensemble.pacs.catalogue import SegmentationCatalogue
from apps.calibrated_ensemble.pacs.client import PacsClient, SearchFilter, Series
from apps.calibrated_ensemble.pacs.labels import PacsLabels
from apps.calibrated_ensemble.pacs.listing import PacsListing
from apps.calibrated_ensemble.pacs.local_files import LocalFiles
from lib.datasets.label_tags import FINAL, check_tag
from lib.datasets.scan_source import ScanNames
from lib.dicom.parametric_map import parametric_map
from lib.errors import InputError
from lib.images.files import read_label
from lib.task.task import Task


class PacsStudies(DICOMWebDatastore):
    """MONAI Label's DICOMweb datastore with what annotating against a PACS needs.

    - Scans are the series that match the filter, named by their SeriesInstanceUID; they are listed
      with one query for each value of the filter and one for all segmentations.
    - A scan's label is the newest usable DICOM SEG that refers to it; a submitted label is known
      at once. Labels of other tags (region masks, predictions) stay on this machine.
    - Segments are matched to classes by their names, and the label lies on the scan's own grid.
    - Nothing that names a patient is kept.

    It shares the type of the stock class, by which the server knows a DICOM datastore, and replaces
    all of its methods; the stock index of local files is not used.

    Args:
        url: root of the DICOMweb services.
        search_filter: which series are scans.
        folder: for local copies.
        task: names the classes.
        submission: reviews labels.
        refresh_seconds: for how long a list of scans is good.
        retry_unreadable: try labels again that could not be read.
    """

    def __init__(
        self,
        url: str,
        search_filter: SearchFilter,
        *,
        folder: Path,
        task: Task,
        submission: LabelSubmission,
        refresh_seconds: float,
        retry_unreadable: bool,
    ):
        self._pacs = PacsClient(url, search_filter)
        self._task = task
        self._submission = submission
        catalogue = SegmentationCatalogue(folder / "segmentations.json", self._pacs)
        if retry_unreadable:
            catalogue.forget_unreadable()
        self._listing = PacsListing(self._pacs, catalogue, labels=task.labels, refresh_seconds=refresh_seconds)
        self._files = LocalFiles(folder, self._pacs)
        self._labels = PacsLabels(self._pacs, self._listing, self._files, task)
        self._image_notes: dict[str, dict[str, Any]] = {}

    @property
    def revision(self) -> int:
        """Grows whenever the list of scans or labels has changed."""
        return self._listing.revision

    def name(self) -> str:
        """URL of the PACS."""
        return self._pacs.url

    def set_name(self, name: str) -> None:
        """Refuse: the PACS has its own name."""
        self._refuse(f"name {name!r}", "the PACS is known by its URL")

    def description(self) -> str:
        """One line for people."""
        return f"Scans of the PACS {self._pacs.url}"

    def set_description(self, description: str) -> None:
        """Refuse: the PACS describes itself."""
        self._refuse(f"description {description!r}", "the PACS is known by its URL")

    def names(self) -> ScanNames:
        """Names of all scans and of those with a final label, as of one listing."""
        number, listing = self._listing.numbered()
        return ScanNames(frozenset(listing.scans), frozenset(listing.labels), number)

    def list_images(self) -> list[str]:
        """Names (SeriesInstanceUID) of all scans."""
        return list(self._listing.current().scans)

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:  # noqa: ARG002
        """Names of the scans with a final label, whatever tag is asked for, as in MONAI Label."""
        return list(self._listing.current().labels)

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:  # noqa: ARG002
        """Names of the scans without a final label, whatever tag is asked for, as in MONAI Label."""
        listing = self._listing.current()
        return [scan for scan in listing.scans if scan not in listing.labels]

    def series(self, scan: str) -> Series | None:
        """What the PACS says of a scan; None when it does not have it."""
        return self._listing.current().scans.get(scan)

    def patient(self, scan: str) -> str:
        """What stands for the scan's patient: equal for all scans of one PatientID, and not telling it."""
        return self._listing.current().scans[scan].patient

    def get_image(self, image_id: str, params: Any = None) -> Any:  # noqa: ARG002
        """Bytes of a scan's file."""
        return Path(self.get_image_uri(image_id)).read_bytes()

    def get_image_uri(self, image_id: str) -> str:
        """Path of a scan's file, which is downloaded when needed; "" when unknown.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: the series is no volume.
        """
        series = self.series(image_id)
        return str(self._files.scan(series)) if series else ""

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What viewers need to open a scan; empty when unknown."""
        series = self.series(image_id)
        if series is None:
            return {}
        return {
            # 3D Slicer saves a scan under this name, and tells the format by its suffix.
            "name": f"{series.uid}.nii.gz",
            "SeriesInstanceUID": series.uid,
            "StudyInstanceUID": series.study,
            "Modality": series.modality,
            "StudyDate": series.date,
            "SeriesDescription": series.description,
            **self._image_notes.get(image_id, {}),
        }

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Keep a note about a scan, until the server ends; who was served it is known to the database."""
        self._required(image_id)
        self._image_notes.setdefault(image_id, {}).update(info)

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:  # noqa: ARG002
        """Refuse: scans come from the PACS."""
        self._refuse(f"scan {image_id}", "store the series in the PACS")

    def remove_image(self, image_id: str) -> None:
        """Refuse: scans stay in the PACS."""
        self._refuse(f"scan {image_id}", "remove the series in the PACS")

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """Tags of a scan's labels, each with the label's name, which is the scan's."""
        tags = [tag for tag in self._files.tags() if tag != FINAL and self._files.has_label(image_id, tag)]
        if image_id in self._listing.current().labels:
            tags.append(FINAL)
        return dict.fromkeys(tags, image_id)

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """Name of a scan's label, which is the scan's; "" when there is none."""
        return self.get_labels_by_image_id(image_id).get(tag, "")

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> Any:  # noqa: ARG002
        """Bytes of a label's file."""
        return Path(self.get_label_uri(label_id, label_tag)).read_bytes()

    def get_label_uri(self, label_id: str, label_tag: str, image_id: str = "") -> str:  # noqa: ARG002
        """Path of a label; a final one is fetched from the PACS when this machine has none or an older one.

        A segmentation that cannot be read is reported in the log, and the next older one is taken.

        Returns:
            "" when there is no label, or none that can be read.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: the scan is no volume.
        """
        if label_tag != FINAL:
            return str(self._files.label(label_id, label_tag)) if self._files.has_label(label_id, label_tag) else ""
        fetched = self._labels.fetch(self._required(label_id))
        return str(fetched) if fetched else ""

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """What is known about a label, with the `label_version` of a final one; empty when there is none."""
        info = self._files.information(label_id, label_tag)
        return {**info, "label_version": self.label_version(label_id)} if info and label_tag == FINAL else info

    def label_version(self, image_id: str) -> str:
        """What tells the final label of a scan from others that it had or will have; "" without one."""
        stored = self._listing.current().labels.get(image_id, ())
        return stored[0].uid if stored else ""

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Keep a note about a label.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        known = self._files.information(label_id, label_tag)
        if not known:
            raise LabelNotFoundException(f"{label_id}: has no label {label_tag}")
        self._files.write_information(label_id, label_tag, known | info)

    def save_label(
        self,
        image_id: str,
        label_filename: str,
        label_tag: str,
        label_info: dict[str, Any],
        label_id: str = "",  # noqa: ARG002
    ) -> str:
        """Review a label and store it, a final one in the PACS.

        Raises:
            ImageNotFoundException: there is no such scan.
            InputError: a wrong tag, a refused label, or the PACS does not take it.
            ConflictError: another label stands that the annotator does not know of.
            UnreachableError: the PACS does not answer.
            StorageError: this machine's copy cannot be written.
                What was sent is kept on the server, whatever is raised, wherever that can be written to.
        """
        sent = Path(label_filename)
        label_info = dict(label_info or {})
        with self._submission.keeping(image_id, sent, label_info):
            check_tag(label_tag)
            series = self._required(image_id)
            image, region = self._files.scan(series), self._region(image_id)
            reviewed = self._submission.review(image_id, sent, image, label_tag, label_info, region=region)
            try:
                self._store_label(series, label_tag, reviewed, label_info)
            finally:
                if reviewed.file != sent:
                    reviewed.file.unlink()
        return image_id

    def store_heatmap(self, scan: str, heatmap: np.ndarray, *, classes: Sequence[str], generation: str) -> None:
        """Store a heatmap in the PACS, one DICOM Parametric Map a class.

        Args:
            scan: name of the scan.
            heatmap: probabilities 0..1, float32 (C, x, y, z), on the grid of the scan's file.
            classes: C names.
            generation: id of the generation that predicted.

        Raises:
            ImageNotFoundException: the scan is not there any more.
            InputError: the PACS refuses it, or the scan is no volume.
            UnreachableError: the PACS does not answer.
        """
        headers = self._pacs.headers(self._required(scan))
        for name, channel in zip(classes, heatmap, strict=True):
            self._pacs.store(parametric_map(channel, headers, class_name=name, generation=generation))

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label of this machine; final ones are objects of the PACS and stay.

        Raises:
            InputError: a final label.
        """
        if label_tag == FINAL:
            raise InputError(f"label of {label_id}: is an object of the PACS; remove it there")
        self._files.remove_label(label_id, label_tag)

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:  # noqa: ARG002
        """Files of all scans with a readable final label, which are downloaded for that."""
        pairs = [(scan, self.get_label_uri(scan, FINAL)) for scan in sorted(self.get_labeled_images())]
        return [{"image": self.get_image_uri(scan), "label": label} for scan, label in pairs if label]

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """ZIP file of all scans with a final label.

        Raises:
            InputError: nothing is labelled.
        """
        pairs = self.datalist()[: limit_cases or None]
        if not pairs:
            raise InputError(f"{self._pacs.url}: no scan is labelled yet; submit a label first")
        with tempfile.NamedTemporaryFile(prefix="calibrated-ensemble-", suffix=".zip", delete=False) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for pair in pairs:
                    for part, path in pair.items():
                        archive.write(path, arcname=f"{part}/{Path(path).name}")
            return file.name

    def refresh(self) -> None:
        """Have the PACS listed again."""
        self._listing.refresh()

    def status(self) -> dict[str, Any]:
        """Numbers of scans, labelled scans and labels per tag, and the segmentations that cannot be used."""
        listing = self._listing.current()
        local = {tag: len(self._files.labelled(tag)) for tag in self._files.tags() if tag != FINAL}
        return {
            "total": len(listing.scans),
            "completed": len(listing.labels),
            "label_tags": {FINAL: len(listing.labels), **local},
            "unusable_labels": dict(listing.unusable),
        }

    def json(self) -> dict[str, Any]:
        """All scans with their labels, in the layout of MONAI Label's folder datastore."""
        return {
            "name": self.name(),
            "description": self.description(),
            "objects": {
                scan: {
                    "image": {"ext": ".nii.gz", "info": self.get_image_info(scan)},
                    "labels": {
                        tag: {"ext": ".nii.gz", "info": self.get_label_info(scan, tag)}
                        for tag in self.get_labels_by_image_id(scan)
                    },
                }
                for scan in self.list_images()
            },
        }

    def _required(self, scan: str) -> Series:
        series = self.series(scan)
        if series is None:
            raise ImageNotFoundException(f"{scan}: no such series in the PACS, or it does not match the filter")
        return series

    def _refuse(self, what: str, right: str) -> NoReturn:
        raise InputError(f"{what}: cannot be changed here; {right}")

    def _region(self, scan: str) -> Path | None:
        tag = self._task.region
        return self._files.label(scan, tag) if tag is not None and self._files.has_label(scan, tag) else None

    def _store_label(self, series: Series, tag: str, reviewed: ReviewedLabel, sent: Mapping[str, Any]) -> None:
        review = dict(reviewed.information)
        information = {**sent, "ts": int(time.time()), "review": review}
        if tag != FINAL:
            self._files.write_label(series.uid, tag, read_label(reviewed.file, values=range(256)), information)
            return
        label = read_label(reviewed.file, values=self._task.labels)
        with self._files.locked(series.uid):
            told = self._submission.versions.make_room(series.uid, self._standing(series), reviewed.file, sent)
            review["warnings"] = [*review.get("warnings", []), *told]
            self._labels.store(series, label, information)

    def _standing(self, series: Series) -> StandingLabel | None:
        file = self._labels.fetch(series)
        if file is None:
            return None
        known = self._files.information(series.uid, FINAL)
        taken = known.get("ts")
        return StandingLabel(
            version=self.label_version(series.uid),
            file=file,
            stays=True,
            submitted_by=annotator_of(known),
            submitted_at=float(taken) if isinstance(taken, int | float) else None,
        )
