"""The night: whether there is something to learn, training that a gate stands behind, and what is told of it."""
