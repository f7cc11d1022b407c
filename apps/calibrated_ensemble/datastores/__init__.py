"""MONAI Label's datastores."""
