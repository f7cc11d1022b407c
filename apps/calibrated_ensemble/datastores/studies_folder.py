"""A folder of studies as MONAI Label's datastore, made safe for crashes, links and many scans."""

import copy
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore, LocalDatastoreModel
from monailabel.interfaces.exception import ImageNotFoundException
from watchdog.events import EVENT_TYPE_DELETED, EVENT_TYPE_MOVED, FileSystemEvent

from apps.calibrated_ensemble.datastores.label_submission import ReviewedLabel
from lib.datasets.image_names import NO_SCAN, name_images
from lib.datasets.label_tags import FINAL, check_tag
from lib.images.files import SUFFIXES, image_suffix, scan_name
from lib.storage.atomic import atomic_path, write_text
from lib.storage.file_names import composed, existing, shown

logger = logging.getLogger(__name__)

INDEX = "datastore_v2.json"

Review = Callable[[str, Path, Path, str, Mapping[str, Any]], ReviewedLabel]
"""Called with scan name, label file, scan file, tag and information before a label is stored; raises to refuse it."""


class StudiesFolder(LocalDatastore):
    """MONAI Label's folder datastore with what a long labelling project needs.

    - A label is reviewed before it replaces the one that stands there, and replaces it in one
      atomic step; a link to another folder's file is replaced, never followed.
    - The index (`datastore_v2.json`) is written whole or not at all and takes up what another
      process wrote; a damaged one is put aside and made again from the files.
    - Listing is linear in the number of scans; hidden files are no scans.

    Args:
        folder: scans in its root, labels in `labels/<tag>`.
        review: see `Review`; what it returns is kept as `review` in the label's information.
        auto_reload: watch the folder for files that come and go.
        read_only: do not look for new files at the start.
    """

    def __init__(self, folder: str, *, review: Review, auto_reload: bool, read_only: bool = False):
        self._review = review
        self._revision = 0
        self._config_ts: float = 0
        self._status: tuple[int, dict[str, Any]] | None = None
        self._told: set[Path] = set()
        _put_aside_if_damaged(Path(folder) / INDEX)
        super().__init__(
            str(folder),
            extensions=tuple(f"*{suffix}" for suffix in SUFFIXES),
            auto_reload=auto_reload,
            read_only=read_only,
        )
        if auto_reload:
            # Files that are moved into place (as everything of ours is) come without a "created" event.
            self._handler.on_moved = self._on_any_event

    @property
    def folder(self) -> Path:
        """Where the scans are."""
        return Path(self._datastore.image_path())

    @property
    def revision(self) -> int:
        """Grows whenever the list of scans or labels may have changed."""
        return self._revision

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
        revision = self._revision
        if self._status is None or self._status[0] != revision:
            self._status = revision, super().status()
        return copy.deepcopy(self._status[1])

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Review a label and store it.

        Raises:
            ImageNotFoundException: there is no such scan.
            InputError: a wrong tag or file format, or a refused label.
            StorageError: the folder cannot be written to.
                The label that stood there is unchanged then.
        """
        entry = self._datastore.objects.get(image_id)
        if entry is None:
            raise ImageNotFoundException(f"{image_id}: no such scan in the studies folder; submit the label of a scan")
        check_tag(label_tag)
        sent = Path(label_filename)
        label_info = dict(label_info or {})
        reviewed = self._review(image_id, sent, Path(self.get_image_uri(image_id)), label_tag, label_info)
        try:
            self._store_label(image_id, entry, label_tag, reviewed, label_info)
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
        entry = self._datastore.objects.get(image_id)
        if entry is None:
            raise ImageNotFoundException(f"{image_id}: no such scan in the studies folder")
        entry.image.info.update(info)
        if set(info) != {"strategy"}:
            self._update_datastore_file()

    def _store_label(
        self, name: str, entry: ImageLabelModel, tag: str, reviewed: ReviewedLabel, info: dict[str, Any]
    ) -> None:
        suffix = image_suffix(reviewed.file).lower()
        target = self._label_file(name, tag, suffix)
        info |= {"ts": int(time.time()), "name": target.name, "review": reviewed.information}
        with FileLock(self._lock_file):
            with atomic_path(target) as temporary:
                shutil.copyfile(reviewed.file, temporary)
            # The folder's watcher may have made new entries since.
            entry = self._datastore.objects.setdefault(name, entry)
            standing = {entry.labels[tag].ext} if tag in entry.labels else set()
            for other in {*SUFFIXES, *standing}:
                file = self._label_file(name, tag, other)
                if file != target:
                    file.unlink(missing_ok=True)
            entry.labels[tag] = DataModel(info=info, ext=suffix)
            self._update_datastore_file(lock=False)

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

    def _reconcile_datastore(self) -> None:
        """Make the entries those of the files."""
        self._init_from_datastore_file()
        labels = Path(self._datastore.label_path(None))
        by_tag = {
            folder.name: self._files(folder)
            for folder in sorted(labels.iterdir())
            if folder.is_dir() and not folder.name.startswith(".")
        }
        old = self._datastore.objects
        new = {}
        scans = self._files(self.folder)
        for tag, files in by_tag.items():
            for name in files.keys() - scans.keys():
                self._tell(self._label_file(name, tag, files[name]), NO_SCAN)
        for name, suffix in scans.items():
            before = old.get(name)
            image = before.image if before and before.image.ext == suffix else _described(name, suffix)
            known = before.labels if before else {}
            found = {tag: files[name] for tag, files in by_tag.items() if name in files}
            new[name] = ImageLabelModel(
                image=image,
                labels={
                    tag: known[tag] if tag in known and known[tag].ext == ext else _described(name, ext)
                    for tag, ext in found.items()
                },
            )
        if new != old:
            logger.info("The studies folder holds %d scans, %d before", len(new), len(old))
            self._datastore.objects = new
            self._update_datastore_file()

    def _files(self, folder: Path) -> dict[str, str]:
        """Images of a folder: name to suffix; what is not used is told in the log, once."""
        images = name_images(folder)
        for path, remark in images.ignored.items():
            self._tell(path, remark)
        return {name: image_suffix(path) for name, path in images.files.items()}

    def _tell(self, path: Path, remark: str) -> None:
        if path not in self._told:
            self._told.add(path)
            logger.warning("%s: %s", shown(path), remark)

    def _init_from_datastore_file(self, throw_exception: bool = False) -> None:
        before = self._config_ts
        super()._init_from_datastore_file(throw_exception)
        if self._config_ts != before:
            # Earlier versions kept names as the files were spelled.
            self._datastore.objects = {composed(name): entry for name, entry in self._datastore.objects.items()}
            self._revision += 1

    def _update_datastore_file(self, lock: bool = True) -> None:
        index = Path(self._datastore_config_path)
        with FileLock(self._lock_file) if lock else nullcontext():
            if index.exists() and index.stat().st_mtime != self._config_ts:
                self._take_up(index)
            content = self._datastore.model_dump(exclude={"base_path"})
            write_text(index, json.dumps(content, indent=2, default=str))
            self._config_ts = index.stat().st_mtime
        self._revision += 1

    def _take_up(self, index: Path) -> None:
        """Add what another process wrote since this one read the index, as far as the files are there."""
        try:
            theirs = LocalDatastoreModel.model_validate_json(index.read_text(encoding="utf-8"))
        except ValueError:
            logger.warning("%s: is damaged; it is written again", index)
            return
        ours = self._datastore.objects
        for spelled, entry in theirs.objects.items():
            name = composed(spelled)
            if name not in ours and self._image_file(name, entry.image.ext).exists():
                ours[name] = ImageLabelModel(image=entry.image)
            for tag, label in entry.labels.items():
                if name in ours and tag not in ours[name].labels and self._label_file(name, tag, label.ext).exists():
                    ours[name].labels[tag] = label


def _described(name: str, suffix: str) -> DataModel:
    return DataModel(info={"ts": int(time.time()), "name": name + suffix}, ext=suffix)


def _put_aside_if_damaged(index: Path) -> None:
    if not index.exists():
        return
    try:
        LocalDatastoreModel.model_validate_json(index.read_text(encoding="utf-8"))
    except ValueError:
        aside = index.with_name(f"{index.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
        index.replace(aside)
        logger.warning("%s: was damaged and is now %s; it is made again from the files", index, aside.name)
