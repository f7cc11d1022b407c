"""Which scan next: estimated DSC, ranking, leases and the review of submitted labels."""
