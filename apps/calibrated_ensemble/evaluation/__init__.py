"""Comparison of heatmaps and estimates with labels: the command `evaluate`."""
