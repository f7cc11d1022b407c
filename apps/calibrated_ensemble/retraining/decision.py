"""Whether there is something to learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.calibrated_ensemble.retraining.options import RetrainingOptions
from lib.datasets.scans import LabelledScan
from lib.models.generation import Generation
from lib.storage.digest import digest_file


@dataclass(frozen=True)
class LabelChanges:
    """How the labels differ from those that a generation was trained on, names in ascending order.

    Attributes:
        added: scans that had no label then.
        changed: scans whose label was another.
        removed: scans that have no label any more.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many labels there are to learn from."""
        return len(self.added) + len(self.changed)

    @property
    def any(self) -> bool:
        """Whether the labels differ at all."""
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True)
class Decision:
    """Whether to train.

    Attributes:
        train: whether.
        reason: why, or why not, in words for a person.
        changes: of the labels since the current generation.
    """

    train: bool
    reason: str
    changes: LabelChanges


def label_changes(scans: Sequence[LabelledScan], generation: Generation | None) -> LabelChanges:
    """Compare the labels with those of a generation; of scans that it left out, a changed label counts as new.

    A generation of a program that kept no digests of labels knows only which scans it was trained on.

    Args:
        scans: the labelled scans.
        generation: the current generation; None before the first.

    Raises:
        DamagedGenerationError: the generation's list of labels is unreadable.
    """
    names = sorted(scan.name for scan in scans)
    if generation is None:
        return LabelChanges(tuple(names), (), ())
    known = generation.label_digests
    trained = set(generation.metrics["dice_by_scan"] if known is None else known)
    changed = {
        scan.name for scan in scans if known and scan.name in known and digest_file(scan.label) != known[scan.name]
    }
    return LabelChanges(
        added=tuple(name for name in names if name not in trained and name not in generation.metrics["left_out"]),
        changed=tuple(sorted(changed)),
        removed=tuple(sorted(trained - set(names))),
    )


def decide(changes: LabelChanges, generation: Generation | None, options: RetrainingOptions) -> Decision:
    """Decide whether a night trains.

    Args:
        changes: from `label_changes`.
        generation: the current generation; None before the first.
        options: what the night was told.
    """
    if options.force:
        return Decision(True, "it was asked for", changes)
    if generation is None:
        if changes.added:
            return Decision(True, f"there is no generation yet, and {len(changes.added)} labels", changes)
        return Decision(False, "no scan has a label yet", changes)
    what = (
        f"{len(changes.added)} new, {len(changes.changed)} changed and {len(changes.removed)} removed labels "
        f"since generation {generation.id}"
    )
    if changes.count >= options.min_new_labels:
        return Decision(True, what, changes)
    age = (datetime.now(UTC) - generation.published).total_seconds() / 86400
    if options.max_age_days is not None and age > options.max_age_days and changes.any:
        return Decision(True, f"{what}, which is {age:.1f} days old", changes)
    return Decision(False, f"{what}; wanted are {options.min_new_labels}", changes)
