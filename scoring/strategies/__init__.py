"""Orders in which scans are labelled: from arrays to priorities, lowest first; nothing of the database."""
