"""Names of the kinds, on the command line and in stored generations."""

from enum import StrEnum


class Method(StrEnum):
    """The paper's method, and the baselines that it is compared with."""

    CALIBRATED = "calibrated"
    SEEDS = "seeds"
    DROPOUT = "dropout"
