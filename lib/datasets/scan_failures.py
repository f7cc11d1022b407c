"""What goes wrong with one scan of many, which may not end a run for the others."""

from lib.errors import BusyError, InputError, ProductError
from lib.storage.disk import is_disk_full


def scan_failure(error: Exception, where: str) -> str:
    """Give the line that says why a scan could not be used; a run goes on after it.

    Args:
        error: whatever was raised while the scan was read, predicted or prepared.
        where: names the scan, such as by its file.

    Raises:
        Exception: the error itself, where the next scan would fare no better: a full disk, a server that is down,
            a damaged model.
    """
    is_of_the_scan = isinstance(error, InputError | BusyError)  # busy: its file was written to while it was read
    if is_disk_full(error) or (isinstance(error, ProductError) and not is_of_the_scan):
        raise error
    reason = " ".join(str(error).split())
    if is_of_the_scan:
        return reason if where in reason else f"{where}: {reason}"
    if isinstance(error, MemoryError):
        return f"{where}: needs more memory than is free; close other programs, or give a scan with fewer voxels"
    return f"{where}: cannot be used ({type(error).__name__}: {reason[:300]}); export the scan again"
