"""OHIF: obtaining it, and serving it."""
