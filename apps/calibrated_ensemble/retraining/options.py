"""What a night may be told."""

from dataclasses import dataclass, field

from lib.publication.gate import GateTolerance


@dataclass(frozen=True)
class RetrainingOptions:
    """When to train, for how long, and what may be published.

    Attributes:
        min_new_labels: train when so many labels are new or changed since the current generation; at least 1.
        max_age_days: train when the current generation is older and at least one label changed; None never.
        force: train whatever is new.
        max_hours: stop after so long, at a point from which the next night goes on; None never.
        tolerance: of the gate before publishing.
        webhook: URL that the summary is posted to; None for none.
    """

    min_new_labels: int = 1
    max_age_days: float | None = None
    force: bool = False
    max_hours: float | None = None
    tolerance: GateTolerance = field(default_factory=GateTolerance)
    webhook: str | None = None
