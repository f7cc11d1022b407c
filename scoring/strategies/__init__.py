"""Orders in which scans are labelled."""
