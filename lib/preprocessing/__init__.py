"""From labelled scans to the plan and the input of the network."""
