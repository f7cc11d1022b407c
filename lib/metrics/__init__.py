"""Judgement by a label."""
