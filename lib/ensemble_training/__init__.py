"""From labelled scans to a published generation."""
