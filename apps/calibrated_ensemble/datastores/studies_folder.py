"""A folder of studies as MONAI Label's datastore, made safe for crashes, links and many scans."""

import copy
import os
import shutil
import time
from pathlib import Path
from typing import Any

from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException
from watchdog.events import EVENT_TYPE_DELETED, EVENT_TYPE_MOVED, FileSystemEvent

from apps.calibrated_ensemble.annotator import annotator_of
from apps.calibrated_ensemble.datastores.indexed_folder import INDEX, IndexedFolder, described
from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission, ReviewedLabel
from apps.calibrated_ensemble.datastores.label_versions import StandingLabel
from lib.datasets.image_names import find_image, image_paths
from lib.datasets.label_tags import FINAL, check_tag
from lib.datasets.scan_names import check_scan_name, is_same_name
from lib.errors import InputError
from lib.images.files import SUFFIXES, image_suffix, scan_name
from lib.storage.atomic import atomic_path
from lib.storage.digest import digest_file
from lib.storage.file_names import existing


class StudiesFolder(IndexedFolder):
    """MONAI Label's folder datastore with what a long labelling project needs.

    - A label is reviewed before it replaces the one that stands there, and replaces it in one
      atomic step; a link to another folder's file is replaced, never followed. What is not stored,
      and what is replaced, is kept.
    - The index stays whole, see `IndexedFolder`.

    Args:
        folder: scans in its root, labels in `labels/<tag>`.
        submission: reviews labels and keeps those that are not stored; what a review finds is kept as `review` in
            the label's information.
        region: tag of the region masks, if the task has any.
        auto_reload: watch the folder for files that come and go.
        read_only: do not look for new files at the start.
    """

    def __init__(
        self,
        folder: str,
        *,
        submission: LabelSubmission,
        auto_reload: bool,
        region: str | None = None,
        read_only: bool = False,
    ):
        self._submission = submission
        self._region = region
        self._status: tuple[int, dict[str, Any]] | None = None
        super().__init__(folder, auto_reload=auto_reload, read_only=read_only)
        if auto_reload:
            # Files that are moved into place (as everything of ours is) come without a "created" event.
            self._handler.on_moved = self._on_any_event

    def get_image_uri(self, image_id: str) -> str:
        """Path of a scan, "" when unknown; links are not followed, so that removing removes the link."""
        entry = self._datastore.objects.get(image_id)
        return str(self._image_file(image_id, entry.image.ext)) if entry else ""

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Path of a label, "" when unknown; links are not followed, so that removing removes the link."""
        label = self._datastore.label(label_id, label_tag)
        return str(self._label_file(label_id, label_tag, label.ext)) if label else ""

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:  # noqa: ARG002
        """Names of the scans with a final label, whatever tag is asked for, as in MONAI Label."""
        return [name for name, entry in self._entries() if FINAL in entry.labels]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:  # noqa: ARG002
        """Names of the scans without a final label, whatever tag is asked for, as in MONAI Label."""
        return [name for name, entry in self._entries() if FINAL not in entry.labels]

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Files of the labelled scans and of their labels, below the studies folder where no full path is asked for."""
        pairs = [
            {"image": self.get_image_uri(name), "label": self.get_label_uri(name, FINAL)}
            for name in self.get_labeled_images()
        ]
        if full_path:
            return pairs
        root = os.path.abspath(self.folder)  # noqa: PTH100
        return [{key: str(Path(path).relative_to(root)) for key, path in pair.items()} for pair in pairs]

    def status(self) -> dict[str, Any]:
        """Numbers of scans and labels, which every request asks for; counted again after a change only."""
        revision = self.revision
        if self._status is None or self._status[0] != revision:
            self._status = revision, super().status()
        return copy.deepcopy(self._status[1])

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """What is known about a label, with the `label_version` of a final one; empty when there is none."""
        info = super().get_label_info(label_id, label_tag)
        return {**info, "label_version": self.label_version(label_id)} if info and label_tag == FINAL else info

    def label_version(self, image_id: str) -> str:
        """What tells the final label of a scan from others that it had or will have; "" without one."""
        path = self.get_label_uri(image_id, FINAL)
        try:
            return digest_file(Path(path)) if path else ""
        except FileNotFoundError:  # it was removed, and the index does not know yet
            return ""

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What is known about a scan, without its place on this machine; clients download it by its name."""
        return {key: value for key, value in super().get_image_info(image_id).items() if key != "path"}

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Add a scan, or replace one where `replace` in its information is true; its labels stay.

        Args:
            image_id: name of the scan, no path.
            image_filename: file that reads as a scan.
            image_info: what to keep about it.

        Returns:
            The scan's name; of one that is replaced, as it is spelled in the folder.

        Raises:
            InputError: no name, no suffix of a scan, or such a scan is there already.
            StorageError: the folder cannot be written to.
        """
        check_scan_name(image_id)
        suffix = image_suffix(Path(image_filename)).lower()
        if suffix not in SUFFIXES:
            raise InputError(f"{image_filename}: is no {', '.join(SUFFIXES)} file; save the scan as one of these")
        info = dict(image_info or {})
        may_replace = info.pop("replace", False)
        with self._changing_index():
            standing = [path for path in image_paths(self.folder) if is_same_name(scan_name(path), image_id)]
            if standing and not may_replace:
                raise InputError(f"{image_id}: such a scan is there; ask for replace=true, or give another name")
            name = scan_name(standing[0]) if standing else image_id
            target = self._image_file(name, suffix)
            with atomic_path(target) as temporary:
                shutil.copyfile(image_filename, temporary)
            for other in set(standing) - {target}:
                other.unlink()
            before = self._datastore.objects.get(name)
            image = DataModel(info={**info, **described(name, suffix).info}, ext=suffix)
            self._datastore.objects[name] = ImageLabelModel(image=image, labels=before.labels if before else {})
        return name

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Review a label and store it.

        Raises:
            ImageNotFoundException: there is no such scan.
            InputError: a wrong tag or file format, or a refused label.
            ConflictError: another label stands that the annotator does not know of.
            StorageError: the folder cannot be written to.
                The label that stood there is unchanged then, and what was sent is kept, whatever is raised.
        """
        sent = Path(label_filename)
        label_info = dict(label_info or {})
        with self._submission.keeping(image_id, sent, label_info):
            check_tag(label_tag)
            if image_id not in self._datastore.objects:
                raise ImageNotFoundException(
                    f"{image_id}: no such scan in the studies folder; submit the label of a scan"
                )
            mask = self.get_label_uri(image_id, self._region) if self._region else ""
            image, region = Path(self.get_image_uri(image_id)), Path(mask) if mask else None
            reviewed = self._submission.review(image_id, sent, image, label_tag, label_info, region=region)
            try:
                self._store_label(image_id, label_tag, reviewed, label_info)
            finally:
                if reviewed.file != sent:
                    reviewed.file.unlink()
        return image_id

    def remove_image(self, image_id: str) -> None:
        """Remove a scan and its labels from the folder.

        Raises:
            ImageNotFoundException: there is no such scan.
        """
        path = self.get_image_uri(image_id)
        if not path:
            raise ImageNotFoundException(f"{image_id}: no such scan in the studies folder")
        for tag in list(self._datastore.objects[image_id].labels):
            Path(self.get_label_uri(image_id, tag)).unlink(missing_ok=True)
        Path(path).unlink(missing_ok=True)
        self.refresh()

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Keep information about a scan; who was served it is known to the database and not written.

        Raises:
            ImageNotFoundException: there is no such scan.
        """
        if set(info) == {"strategy"} and image_id in self._datastore.objects:
            self._datastore.objects[image_id].image.info.update(info)
            return
        with self._changing_index():
            entry = self._datastore.objects.get(image_id)
            if entry is None:
                raise ImageNotFoundException(f"{image_id}: no such scan in the studies folder")
            entry.image.info.update(info)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Keep information about a label.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        with self._changing_index():
            label = self._datastore.label(label_id, label_tag)
            if label is None:
                raise LabelNotFoundException(f"{label_id}: has no label {label_tag}")
            label.info.update(info)

    def _store_label(self, name: str, tag: str, reviewed: ReviewedLabel, sent: dict[str, Any]) -> None:
        suffix = image_suffix(reviewed.file).lower()
        target = self._label_file(name, tag, suffix)
        with self._changing_index():
            entry = self._datastore.objects.get(name) or ImageLabelModel(image=described(name, ""))
            review = dict(reviewed.information)
            if tag == FINAL:
                told = self._submission.versions.make_room(name, self._standing(name, entry), reviewed.file, sent)
                review["warnings"] = [*review.get("warnings", []), *told]
            info = {**sent, "ts": int(time.time()), "name": target.name, "review": review}
            with atomic_path(target) as temporary:
                shutil.copyfile(reviewed.file, temporary)
            standing = {entry.labels[tag].ext} if tag in entry.labels else set()
            for other in {*SUFFIXES, *standing}:
                file = self._label_file(name, tag, other)
                if file != target:
                    file.unlink(missing_ok=True)
            entry.labels[tag] = DataModel(info=info, ext=suffix)

    def _standing(self, name: str, entry: ImageLabelModel) -> StandingLabel | None:
        # In the folder, since the index may not know yet what another program has put there.
        path = find_image(self._label_file(name, FINAL, "").parent, name)
        if path is None:
            return None
        info = entry.labels[FINAL].info if FINAL in entry.labels else {}
        taken = info.get("ts")
        return StandingLabel(
            version=digest_file(path),
            file=path,
            submitted_by=annotator_of(info),
            submitted_at=float(taken) if isinstance(taken, int | float) else None,
        )

    def _on_any_event(self, event: FileSystemEvent) -> None:
        """Look at the folder again, unless the event is about what is known already, such as a label just stored."""
        source, target = Path(os.fsdecode(event.src_path)), Path(os.fsdecode(event.dest_path or event.src_path))
        is_moved, is_gone = event.event_type == EVENT_TYPE_MOVED, event.event_type == EVENT_TYPE_DELETED
        if target.name == INDEX and not is_gone:
            self._init_from_datastore_file()
            return
        with FileLock(self._lock_file):  # a label that is being stored is known when the lock is free
            is_source_known, is_known = self._is_known(source), self._is_known(target)
        if (target.name.startswith(".") and not is_source_known) or (
            is_known != is_gone and not (is_moved and is_source_known)
        ):
            return
        self.refresh()

    def _is_known(self, path: Path) -> bool:
        suffix = image_suffix(path)
        entry = self._datastore.objects.get(scan_name(path))
        if entry is None or not suffix:
            return False
        folder = Path(os.path.abspath(self._datastore.image_path()))  # noqa: PTH100
        if path.parent == folder:
            return entry.image.ext == suffix
        label = entry.labels.get(path.parent.name)
        return label is not None and label.ext == suffix

    def _entries(self) -> list[tuple[str, ImageLabelModel]]:
        # The folder's watcher runs in a thread of its own, so never iterate over the dictionary itself.
        return list(self._datastore.objects.items())

    def _image_file(self, name: str, suffix: str) -> Path:
        path = os.path.join(self._datastore.image_path(), name + suffix)  # noqa: PTH118
        return existing(Path(os.path.abspath(path)))  # noqa: PTH100

    def _label_file(self, name: str, tag: str, suffix: str) -> Path:
        path = os.path.join(self._datastore.label_path(tag), name + suffix)  # noqa: PTH118
        return existing(Path(os.path.abspath(path)))  # noqa: PTH100
