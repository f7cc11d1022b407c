"""What calibrations are fitted to: sums over labelled scans."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "out_of_fold": ["OutOfFoldStatistics", "reduce_outputs"],
        "probability_counts": ["ReliabilityCounts", "count_probabilities"],
        "soft_moments": ["SoftMoments", "sum_moments"],
        "vote_patterns": ["PatternCounts", "count_patterns"],
    },
)
