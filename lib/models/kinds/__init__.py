"""How the networks of an ensemble come to differ: one file for each kind."""
