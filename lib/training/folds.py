"""Which patient is held out in which fold of the cross-validation."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib.errors import InputError
from lib.preprocessing.prepared_scans import PreparedScan


def assign_folds(
    patients: Sequence[str], *, fold_count: int, previous: Mapping[str, int], seed: int = 0
) -> dict[str, int]:
    """Assign each patient, with all their scans, to a fold.

    Patients keep the fold they had. New ones go, one after the other, to the fold with the fewest
    patients, so that folds filled by additions alone stay within one patient of each other. The order
    of new patients depends on their names and the seed, not on the order of the list.

    Patients who left take their place with them; the folds are then as uneven as that makes them until
    new patients fill the gaps. Only where a fold would hold no patient who was there before, although
    there are enough of them (`fold_count` was raised, or a whole fold left), do as few patients as
    possible move, until the folds are even again. A patient whose fold does not exist any more
    (`fold_count` was lowered) counts as new.

    Args:
        patients: the patient of each labelled scan; repeated where a patient has several scans.
        fold_count: number of folds, at least 2.
        previous: folds of an earlier run, patient to fold; empty at first.
        seed: varies the order of new patients.

    Returns:
        Fold 0..fold_count-1 of each patient, in the order of their names.

    Raises:
        InputError: there are fewer patients than folds, or fewer than two folds.
    """
    if fold_count < 2:
        raise InputError(f"fold_count: is {fold_count}; cross-validation needs at least 2 folds")
    known = set(patients)
    if len(known) < fold_count:
        raise InputError(
            f"labels: come from {len(known)} patient{'' if len(known) == 1 else 's'}; {fold_count} folds need at least "
            f"{fold_count}, so label scans of {fold_count - len(known)} more or lower fold_count"
        )
    ordered = sorted(known, key=lambda patient: _rank(patient, seed))
    members: list[list[str]] = [[] for _ in range(fold_count)]
    stays = {patient for patient in ordered if 0 <= previous.get(patient, -1) < fold_count}
    for patient in ordered:
        if patient in stays:
            members[previous[patient]].append(patient)
    lost_a_fold = len(stays) >= fold_count and not all(members)
    for patient in ordered:
        if patient not in stays:
            min(members, key=len).append(patient)
    if lost_a_fold or not all(members):
        _level(members)
    folds = {patient: fold for fold, held in enumerate(members) for patient in held}
    return dict(sorted(folds.items()))


def _level(members: list[list[str]]) -> None:
    """Move patients from the fullest fold to the emptiest until they are within one of each other."""
    while len(fullest := max(members, key=len)) > len(emptiest := min(members, key=len)) + 1:
        emptiest.append(fullest.pop())


def _rank(patient: str, seed: int) -> tuple[bytes, str]:
    """Random-looking place of a patient that no other patient changes."""
    return hashlib.sha256(f"{seed}:{patient}".encode(errors="surrogatepass")).digest(), patient


@dataclass(frozen=True)
class Fold:
    """Which scans train the members of a fold, and which they are judged by.

    Attributes:
        number: 0..fold_count - 1.
        training: scans of the other folds' patients, at least one.
        validation: scans of this fold's patients.
    """

    number: int
    training: tuple[PreparedScan, ...]
    validation: tuple[PreparedScan, ...]


def split_folds(scans: Sequence[PreparedScan], folds: Mapping[str, int], fold_count: int) -> list[Fold]:
    """Give the folds that the patients were assigned to.

    Args:
        scans: all labelled scans.
        folds: patient to fold.
        fold_count: number of folds.
    """
    ordered = sorted(scans, key=lambda scan: scan.name)
    return [
        Fold(
            number,
            training=tuple(scan for scan in ordered if folds[scan.patient] != number),
            validation=tuple(scan for scan in ordered if folds[scan.patient] == number),
        )
        for number in range(fold_count)
    ]
