"""Which scans and labels there are."""
