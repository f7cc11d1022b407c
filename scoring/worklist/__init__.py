"""Which scan next, and for whom."""
