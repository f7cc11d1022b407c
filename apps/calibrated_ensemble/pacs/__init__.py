"""The scans and labels of a PACS."""
