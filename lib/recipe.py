"""What keys of members and generations say about the program that made them."""

RECIPE = 1
"""Raised when the same scans and settings give other networks, evaluations or fits, so that these are made again."""
