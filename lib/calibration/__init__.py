"""From the outputs of members to probabilities (Eq. 2 and 3 of the paper)."""
