"""What a night may be told."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.errors import InputError
from lib.publication.gate import GateTolerance

REQUEST_KEY = "retrain"
"""Key under which a request to the server's trainer holds the options of a night."""


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

    def to_request(self) -> dict[str, Any]:
        """As a request to a server holds them; the webhook is called by whoever asks, not by the server."""
        return {
            "min_new_labels": self.min_new_labels,
            "max_age_days": self.max_age_days,
            "force": self.force,
            "max_hours": self.max_hours,
            "dice_tolerance": self.tolerance.dice,
            "calibration_tolerance": self.tolerance.calibration_error,
        }


def options_of_request(given: Any) -> RetrainingOptions:
    """Read what `RetrainingOptions.to_request` gave; keys may be missing.

    Raises:
        InputError: no such key, or a wrong value.
    """
    try:
        request = _Request.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([REQUEST_KEY, *map(str, first["loc"])])
        raise InputError(f"{key}: is {first['input']!r}; {first['msg']}") from error
    return RetrainingOptions(
        min_new_labels=request.min_new_labels,
        max_age_days=request.max_age_days,
        force=request.force,
        max_hours=request.max_hours,
        tolerance=GateTolerance(dice=request.dice_tolerance, calibration_error=request.calibration_tolerance),
    )


_Days = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Tolerance = Annotated[float, Field(ge=0, le=1)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    min_new_labels: Annotated[int, Field(ge=1)] = 1
    max_age_days: _Days | None = None
    force: bool = False
    max_hours: _Days | None = None
    dice_tolerance: _Tolerance = GateTolerance.dice
    calibration_tolerance: _Tolerance = GateTolerance.calibration_error
