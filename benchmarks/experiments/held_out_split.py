"""Which scans of a data set test the models, and which may be labelled."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lib.datasets.scans import LabelledScan
from lib.errors import InputError


@dataclass(frozen=True)
class Split:
    """Scans with their labels, each part in the order of the names; no patient is in both.

    Attributes:
        test: judge every model, and are never labelled.
        pool: may be labelled.
    """

    test: tuple[LabelledScan, ...]
    pool: tuple[LabelledScan, ...]


def split_scans(scans: Sequence[LabelledScan], test: int) -> Split:
    """Draw the test scans, always the same of the same scans; the other scans of their patients are left out.

    Args:
        scans: in the order of their names.
        test: scans to hold out.

    Raises:
        InputError: `test` leaves nothing to test with or nothing to label.
    """
    drawn = np.random.default_rng(0).permutation(len(scans))[: max(test, 0)]
    held_out = tuple(scans[index] for index in sorted(drawn))
    patients = {scan.patient for scan in held_out}
    pool = tuple(scan for scan in scans if scan.patient not in patients)
    if not held_out or not pool:
        raise InputError(f"--test is {test}, of {len(scans)} labelled scans; give a number that leaves some of both")
    return Split(held_out, pool)
