"""The MONAI Label app and the command line."""
