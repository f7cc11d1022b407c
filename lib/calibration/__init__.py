"""From the outputs of members to probabilities: Eq. 2 and 3 of the paper, and what stands beside them."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "base": ["Calibration", "Calibrator"],
        "isotonic": ["Isotonic", "IsotonicCalibration"],
        "member_outputs": ["MemberOutputs", "RequiredOutputs"],
        "platt": ["Platt", "PlattScaling"],
        "registry": ["CALIBRATORS"],
        "settings": ["FoldAggregation", "Solver"],
        "soft": ["SoftmaxWeights", "WeightedSoftmax"],
        "votes": ["Votes", "WeightedVotes"],
    },
)
