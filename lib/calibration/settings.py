"""Choices of the fits that a task file can make."""

from enum import StrEnum


class Solver(StrEnum):
    """Which coefficients are allowed: at least 0 and summing to at most 1, or, as in the paper, any."""

    NONNEGATIVE = "nonnegative"
    UNCONSTRAINED = "unconstrained"


class FoldAggregation(StrEnum):
    """Whether the heatmap is the mean of the folds' heatmaps, or the folds are averaged first and vote as one."""

    MEAN = "mean"
    VOTE = "vote"
