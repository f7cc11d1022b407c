"""How the networks of a generation come to differ from each other."""

from enum import StrEnum


class Method(StrEnum):
    """The paper's method, and the baselines that it is compared with (see `lib.ensemble_training.baselines`)."""

    CALIBRATED = "calibrated"
    SEEDS = "seeds"
    DROPOUT = "dropout"
