"""The index of a studies folder: which scans and labels there are, written by one thread of one process at a time."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore, LocalDatastoreModel

from lib.datasets.image_names import NO_SCAN, name_images
from lib.images.files import SUFFIXES, image_suffix
from lib.storage.atomic import remove_leftovers, write_text
from lib.storage.file_names import composed, shown

logger = logging.getLogger(__name__)

INDEX = "datastore_v2.json"


class IndexedFolder(LocalDatastore):
    """MONAI Label's folder datastore, whose index (`datastore_v2.json`) survives crashes and other processes.

    It is written whole or not at all, each change begins from what is there, and a damaged one is put aside and
    made again from the files. Listing is linear in the number of scans; hidden files are no scans.

    Args:
        folder: scans in its root, labels in `labels/<tag>`.
        auto_reload: watch the folder for files that come and go.
        read_only: do not look for new files at the start.
    """

    def __init__(self, folder: str, *, auto_reload: bool, read_only: bool):
        self._revision = 0
        self._index_state: tuple[int, int, int] | None = None
        self._told: set[Path] = set()
        if not read_only:
            labels = Path(folder) / "labels"
            remove_leftovers(Path(folder), *(path for path in labels.glob("*") if path.is_dir()))
        _put_aside_if_damaged(Path(folder) / INDEX)
        super().__init__(
            str(folder),
            extensions=tuple(f"*{suffix}" for suffix in SUFFIXES),
            auto_reload=auto_reload,
            read_only=read_only,
        )

    @property
    def folder(self) -> Path:
        """Where the scans are."""
        return Path(self._datastore.image_path())

    @property
    def revision(self) -> int:
        """Grows whenever the list of scans or labels may have changed, by another process too."""
        self.catch_up()
        return self._revision

    def catch_up(self) -> None:
        """Take up what another process has written to the index."""
        if _state_of(Path(self._datastore_config_path)) != self._index_state:
            self._init_from_datastore_file()

    def _reconcile_datastore(self) -> None:
        """Make the entries those of the files; nobody stores a label between the look at the files and that."""
        with FileLock(self._lock_file):
            self._read_index()
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
                    self._tell(labels / tag / (name + files[name]), NO_SCAN)
            for name, suffix in scans.items():
                before = old.get(name)
                image = before.image if before and before.image.ext == suffix else described(name, suffix)
                known = before.labels if before else {}
                found = {tag: files[name] for tag, files in by_tag.items() if name in files}
                new[name] = ImageLabelModel(
                    image=image,
                    labels={
                        tag: known[tag] if tag in known and known[tag].ext == ext else described(name, ext)
                        for tag, ext in found.items()
                    },
                )
            if new != old:
                logger.info("The studies folder holds %d scans, %d before", len(new), len(old))
                self._datastore.objects = new
                self._write_index()

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

    @contextmanager
    def _changing_index(self) -> Iterator[None]:
        """Let the block change entries, beginning from what is in the index now; it is written when it ends well."""
        with FileLock(self._lock_file):
            self._read_index()
            yield
            self._write_index()

    def _init_from_datastore_file(self, throw_exception: bool = False) -> None:  # noqa: ARG002
        with FileLock(self._lock_file):
            self._read_index()

    def _update_datastore_file(self, lock: bool = True) -> None:
        if not lock:
            self._write_index()
            return
        with self._changing_index():
            pass

    def _read_index(self) -> None:
        """Take the index as it is; the caller holds the lock."""
        index = Path(self._datastore_config_path)
        state = _state_of(index)
        if state is None or state == self._index_state:
            return
        try:
            read = LocalDatastoreModel.model_validate_json(index.read_text(encoding="utf-8"))
        except ValueError:
            logger.warning("%s: is damaged; it is written again", index)
            return
        read.base_path = self._datastore_path
        # Earlier versions kept names as the files were spelled.
        read.objects = {composed(name): entry for name, entry in read.objects.items()}
        self._datastore, self._index_state = read, state
        self._revision += 1

    def _write_index(self) -> None:
        """Write the index; the caller holds the lock."""
        index = Path(self._datastore_config_path)
        content = self._datastore.model_dump(exclude={"base_path"})
        write_text(index, json.dumps(content, indent=2, default=str))
        self._index_state = _state_of(index)
        self._revision += 1


def _state_of(index: Path) -> tuple[int, int, int] | None:
    """What changes whenever the index is written; None where there is none."""
    try:
        status = index.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def described(name: str, suffix: str) -> DataModel:
    """What the index says of a file that is new."""
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
