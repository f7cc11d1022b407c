"""Scans in every format that is read."""

from pathlib import Path

from lib.images import files
from lib.images.volume import Volume


def read_scan(path: Path | str) -> Volume:
    """Read a scan as float32.

    Args:
        path: NIfTI or NRRD file, or folder of one DICOM series.

    Raises:
        InputError: the file or series cannot be used, see `lib.images.files.read_scan` and
            `lib.dicom.series.read_series`.
    """
    if not Path(path).is_dir():
        return files.read_scan(path)
    # Files need neither pydicom nor SimpleITK.
    from lib.dicom.series import files_of, read_series

    volume, _ = read_series(files_of(Path(path)))
    return volume
