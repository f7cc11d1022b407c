"""The database of scans, scores, leases and events."""
