"""Measurements of speed and evidence, run by hand; nothing of the product imports them."""
