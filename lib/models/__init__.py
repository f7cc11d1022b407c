"""A trained ensemble: its files, its versions, and at work."""
