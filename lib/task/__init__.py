"""What is segmented: the settings of a task."""
