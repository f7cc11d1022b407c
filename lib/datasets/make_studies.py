"""Which scans and labels a MONAI Label studies folder holds, and how one is made."""

import random
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lib.datasets.image_names import files_by_name, find_image, image_paths, name_scans
from lib.datasets.label_tags import labels_folder
from lib.errors import InputError
from lib.images.files import image_suffix, scan_name
from lib.storage.atomic import atomic_path
from lib.storage.disk import make_folder


@dataclass(frozen=True)
class Prepared:
    """What `prepare_studies` left in the studies folder.

    Attributes:
        scans: number of scans from the source.
        available: number of them that have a label in the source.
        labels: names of the scans whose label was taken from the source.
        kept: names of the scans, of `labels`, that had a different label already, which was kept.
        regions: number of region masks.
        without_scan: labels and region masks of the source that match no scan, and are not used.
    """

    scans: int
    available: int
    labels: tuple[str, ...]
    kept: tuple[str, ...]
    regions: int
    without_scan: tuple[Path, ...]


def prepare_studies(
    images: Path,
    labels: Path | None,
    output: Path,
    *,
    labelled: int | None = None,
    seed: int = 0,
    regions: Path | None = None,
    region_tag: str | None = None,
) -> Prepared:
    """Make a studies folder from a Decathlon or nnU-Net style data set.

    In a Decathlon folder scan and label have the same name; in an nnU-Net folder the scan's name
    ends in its channel (`case_0000.nii.gz` beside the label `case.nii.gz`). Scans are hard links,
    else symbolic links, else copies. Labels are copies: MONAI Label writes a submitted label into
    the file that stands at its place, and through a link it would change the source.

    Calling it again changes nothing, and a larger `labelled` adds to the labels of a smaller one.
    Nothing is ever removed, and no file is replaced: a label that an annotator changed is kept.

    Args:
        images: folder of the scans.
        labels: folder of the labels, when there are any.
        output: the studies folder; made when missing.
        labelled: how many labels to take, all by default.
        seed: chooses the order in which labels are taken.
        regions: folder of region masks, named like the labels.
        region_tag: the tag they get (`labels/<region_tag>`).

    Raises:
        InputError: a folder is missing or empty, no label matches a scan, more labels are asked
            for than there are, a scan has several channels, or a different scan is in the way. Nothing
            has been written then.
        StorageError: the output cannot be written; what was is kept.
    """
    images, output = Path(images).absolute(), Path(output).absolute()
    files = files_by_name(images)
    label_files = files_by_name(Path(labels).absolute()) if labels else {}
    region_files = files_by_name(Path(regions).absolute()) if regions else {}
    if region_files and not region_tag:
        raise InputError(f"{regions}: region masks need the tag that the task gives under `region`, such as kidney")
    scans = name_scans(files, label_files or region_files, where=images)
    available = sorted(set(scans) & set(label_files))
    if label_files and not available:
        example = next(iter(label_files.values()))
        raise InputError(f"{labels}: no label matches a scan of {images}; {example.name} should be named as its scan")
    if labelled is not None and not 0 <= labelled <= len(available):
        raise InputError(f"labelled: is {labelled}, but {len(available)} scans have a label; give 0 to that number")
    chosen = sorted(seeded_order(available, seed)[:labelled])

    targets = {name: output / _file_name(name, path) for name, path in scans.items()}
    present = {scan_name(path): path for path in image_paths(output)} if output.is_dir() else {}
    for name, path in scans.items():
        standing = present.get(name)
        if standing is not None and not _same(standing, path):
            raise InputError(f"{standing}: differs from {path}; remove it or choose another output folder")

    for name, path in scans.items():
        if name not in present:
            _link(path, targets[name])
    kept = [name for name in chosen if not _copy_label(label_files[name], labels_folder(output), name)]
    masks = sorted(set(scans) & set(region_files))
    for name in masks:
        _copy_label(region_files[name], labels_folder(output, str(region_tag)), name)
    unmatched = [path for found in (label_files, region_files) for name, path in found.items() if name not in scans]
    return Prepared(len(scans), len(available), tuple(chosen), tuple(kept), len(masks), tuple(unmatched))


def seeded_order(names: Iterable[str], seed: int) -> list[str]:
    """Order in which scans are labelled: the same for equal names and seeds, whatever order the names come in."""
    ordered = sorted(names)
    random.Random(seed).shuffle(ordered)
    return ordered


def _file_name(name: str, source: Path) -> str:
    # MONAI Label looks for suffixes in lower case only.
    return name + image_suffix(source).lower()


def _same(first: Path, second: Path) -> bool:
    """Whether two files are one file or hold the same bytes."""
    if not first.exists():
        return False
    if first.samefile(second):
        return True
    if first.stat().st_size != second.stat().st_size:
        return False
    with first.open("rb") as one, second.open("rb") as other:
        while chunk := one.read(1 << 20):
            if chunk != other.read(1 << 20):
                return False
    return True


def _link(source: Path, target: Path) -> None:
    make_folder(target.parent)
    # A hard link comes first: the server resolves symbolic links and would delete the source with the scan.
    for link in (target.hardlink_to, target.symlink_to):
        try:
            link(source.resolve())
        except OSError:
            continue
        return
    _copy(source, target)


def _copy_label(source: Path, folder: Path, name: str) -> bool:
    """Copy a label unless there is one; False when a different one is there and stays."""
    standing = find_image(folder, name)
    if standing is not None:
        return _same(standing, source)
    _copy(source, folder / _file_name(name, source))
    return True


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
