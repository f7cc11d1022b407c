"""A model against the labels of scans."""
