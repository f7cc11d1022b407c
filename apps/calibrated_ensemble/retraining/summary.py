"""What a night came to: one JSON value for machines, a few lines for people."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Outcome(StrEnum):
    """How a night ended."""

    NOTHING_TO_DO = "nothing_to_do"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    HELD_BACK = "held_back"
    OUT_OF_TIME = "out_of_time"


@dataclass(frozen=True)
class Night:
    """What a night came to.

    Attributes:
        outcome: how it ended.
        reason: why it trained or did not.
        started: when, ISO 8601 in UTC.
        hours: how long it took.
        served: id of the generation that is served now; None before the first.
        candidate: id of the generation that was made; None where none was.
        held_back: why the candidate is not served, one line each.
        labels: number of labels that are `added`, `changed` and `removed` since the generation before.
        annotators: labels submitted since then, by name.
        compared: figures of the gate, before and after, see `lib.publication.gate.GateReport`.
        dice: cross-validated DSC of the candidate by class.
        scored: number of scans that were scored, None where none should be.
        failed: scan to the reason why it could not be scored.
        left: number of scans without a label.
        expected_dice: mean estimated DSC of those that are scored; None where none is.
    """

    outcome: Outcome
    reason: str
    started: str
    hours: float
    served: str | None
    candidate: str | None = None
    held_back: tuple[str, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)
    annotators: dict[str, int] = field(default_factory=dict)
    compared: dict[str, Any] = field(default_factory=dict)
    dice: dict[str, float | None] = field(default_factory=dict)
    scored: int | None = None
    failed: dict[str, str] = field(default_factory=dict)
    left: int = 0
    expected_dice: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As one JSON value."""
        return asdict(self) | {"held_back": list(self.held_back)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """From what `to_json` gave."""
        kept = dict(stored) | {"outcome": Outcome(stored["outcome"]), "held_back": tuple(stored["held_back"])}
        return cls(**kept)

    def to_lines(self) -> list[str]:
        """As lines for a person."""
        lines = [f"{_HEADS[self.outcome]} ({self.reason})."]
        if self.candidate is not None:
            dice = ", ".join(f"{name} {100 * value:.1f} %" for name, value in self.dice.items() if value is not None)
            lines.append(f"Generation {self.candidate}: cross-validated DSC {dice or 'unknown'}.")
        for name, figures in self.compared.items():
            if figures is not None:
                what = {"dice": "DSC", "calibration_error": "Calibration error"}[name]
                lines.append(
                    f"{what} on the {figures['scans']} scans of both generations: "
                    f"{100 * figures['before']:.2f} % before, {100 * figures['after']:.2f} % now."
                )
        lines += [f"Held back: {reason}." for reason in self.held_back]
        if self.annotators:
            who = ", ".join(f"{name or 'anonymous'} {count}" for name, count in sorted(self.annotators.items()))
            lines.append(f"Labels submitted since: {who}.")
        if self.scored is not None:
            lines.append(f"Scored {self.scored} scans{f', {len(self.failed)} failed' if self.failed else ''}.")
        if self.expected_dice is not None:
            lines.append(f"{self.left} scans are left; their mean estimated DSC is {100 * self.expected_dice:.1f} %.")
        lines.append(f"It took {self.hours:.2f} h; {self.served or 'no generation'} is served.")
        return lines


_HEADS = {
    Outcome.NOTHING_TO_DO: "Nothing to train",
    Outcome.PUBLISHED: "A new generation is served",
    Outcome.UNCHANGED: "The generation of these labels is served already",
    Outcome.HELD_BACK: "The new generation is held back",
    Outcome.OUT_OF_TIME: "The time was over; the next night goes on",
}
