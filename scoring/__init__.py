"""Which scan next, and for whom: scores, priorities, leases, and checks of submitted labels."""
