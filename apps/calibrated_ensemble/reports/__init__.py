"""Figures and pages of an evaluation."""
