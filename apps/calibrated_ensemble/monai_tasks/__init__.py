"""MONAI Label's tasks."""
