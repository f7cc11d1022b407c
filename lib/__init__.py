"""The method: calibrated ensembles for segmentation, usable without a server."""
