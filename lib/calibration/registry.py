"""All calibrations by the names that a task file gives them."""

from lib.calibration.base import Calibration
from lib.calibration.isotonic import SingleIsotonic
from lib.calibration.platt import Single
from lib.calibration.soft import Soft
from lib.calibration.votes import Votes

CALIBRATIONS: dict[str, type[Calibration]] = {
    "single": Single,
    "single_isotonic": SingleIsotonic,
    "soft": Soft,
    "votes": Votes,
}
