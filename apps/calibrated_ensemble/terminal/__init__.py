"""Output, progress and exit status of commands."""
