"""The experiments by which the defaults are chosen."""
