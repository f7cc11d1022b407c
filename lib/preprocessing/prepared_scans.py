"""Labelled scans on the network's grid, kept on disk so that training maps them instead of holding them."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lib.datasets.scans import LabelledScan, digest_labelled_scan, read_labelled_scan
from lib.errors import BusyError, InputError
from lib.images.volume import Volume
from lib.preprocessing.plan import Plan
from lib.preprocessing.preprocessor import Preprocessor
from lib.storage.atomic import atomic_folder
from lib.storage.digest import digest_settings
from lib.task.labels import class_indices
from lib.task.task import Task

# nnU-Net keeps as many: enough that patch centres do not repeat, small for any scan.
_CENTRES = 10_000


@dataclass(frozen=True)
class PreparedScan:
    """One labelled scan after preprocessing; arrays are read-only and mapped from disk.

    Attributes:
        name: name of the scan.
        patient: its patient.
        digest: digest of the scan's, label's and region's files.
        folder: where the arrays are.
    """

    name: str
    patient: str
    digest: str
    folder: Path

    @cached_property
    def image(self) -> np.ndarray:
        """Grey values, float32 (x, y, z)."""
        return self._load("image")

    @cached_property
    def label(self) -> np.ndarray:
        """Class indices, uint8 (x, y, z)."""
        return self._load("label")

    @cached_property
    def region(self) -> np.ndarray | None:
        """Region mask, bool (x, y, z), or None where the whole scan counts."""
        return self._load("region") if (self.folder / "region.npy").exists() else None

    @cached_property
    def centres(self) -> np.ndarray:
        """Voxels that may be the centre of a foreground patch, int32 (n, 3); n may be 0."""
        return self._load("centres")

    def __reduce__(self) -> tuple[type["PreparedScan"], tuple[str, str, str, Path]]:
        # Mapped arrays stay behind: another process maps them from disk by itself.
        return type(self), (self.name, self.patient, self.digest, self.folder)

    def _load(self, name: str) -> np.ndarray:
        path = self.folder / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{path}: cannot be read ({error}); remove the folder {self.folder}, then train again"
            ) from error


def prepare_scan(scan: LabelledScan, *, task: Task, plan: Plan, digest: str, folder: Path) -> PreparedScan:
    """Preprocess a labelled scan into a sub-folder of `folder`, unless it is there already.

    Args:
        scan: what to prepare.
        task: classes and seed.
        plan: the preprocessing.
        digest: from `digest_labelled_scan`.
        folder: where prepared scans are kept.

    Raises:
        InputError: see `read_labelled_scan`.
        BusyError: the files are no longer those of the digest.
    """
    settings = plan.model_dump(mode="json", include={"spacing", "intensity"})
    key = digest_settings([digest, settings, list(task.labels.items())])
    target = folder / key[:32]
    if not target.exists():
        image, label, region = read_labelled_scan(scan, task)
        preprocessing = Preprocessor(plan)
        prepared = preprocessing.apply_to_scan(image)
        classes = Volume(class_indices(label.array, task), label.affine)
        arrays = {"image": prepared.numpy()[0], "label": preprocessing.apply_to_label(classes, like=prepared).numpy()}
        if region is not None:
            arrays["region"] = preprocessing.apply_to_region(region, like=prepared).numpy()
        if digest_labelled_scan(scan) != digest:
            raise BusyError(f"{scan.label}: it, its scan or its region changed while it was read; try again")
        arrays["centres"] = _choose_centres(arrays["label"], arrays.get("region"), seed=int(key[:8], 16))
        _write_arrays(arrays, target)
    return PreparedScan(scan.name, scan.patient, digest, target)


def remove_unused_scans(folder: Path, keep: Iterable[PreparedScan]) -> None:
    """Remove prepared scans other than these: every change of labels or plan leaves some behind."""
    kept = {scan.folder for scan in keep}
    for path in folder.iterdir():
        if path not in kept:
            shutil.rmtree(path)


def _choose_centres(label: np.ndarray, region: np.ndarray | None, *, seed: int) -> np.ndarray:
    inside = label > 0 if region is None else (label > 0) & region
    voxels = np.argwhere(inside).astype(np.int32)
    if len(voxels) > _CENTRES:
        voxels = np.random.default_rng(seed).choice(voxels, _CENTRES, replace=False)
    return voxels


def _write_arrays(arrays: dict[str, np.ndarray], target: Path) -> None:
    with atomic_folder(target) as temporary:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
