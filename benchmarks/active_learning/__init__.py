"""Whether labelling the least certain scans teaches more than labelling random ones."""
