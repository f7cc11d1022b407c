"""One network, and how it runs."""
