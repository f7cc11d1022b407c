"""What the annotation lead sees in the morning: figures, and a page of them that needs no script."""
