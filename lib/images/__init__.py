"""Scans and labels as arrays with a place in the world."""
