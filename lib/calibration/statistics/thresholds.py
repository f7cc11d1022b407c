"""Softmax that says nothing."""

FAINTEST = 0.01
"""Softmax below this is left out of fits and is 0 in heatmaps: it is nearly all of a scan and says nothing."""
