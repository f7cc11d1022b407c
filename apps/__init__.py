"""MONAI Label apps."""
