"""All calibrators by the names that task files and generations give them."""

from collections.abc import Mapping

from lib.calibration.base import Calibrator
from lib.calibration.isotonic import Isotonic
from lib.calibration.platt import Platt
from lib.calibration.soft import SoftmaxWeights
from lib.calibration.votes import Votes

CALIBRATORS: Mapping[str, type[Calibrator]] = {
    "single": Platt,
    "single_isotonic": Isotonic,
    "soft": SoftmaxWeights,
    "votes": Votes,
}
