"""Judgement without a label."""
