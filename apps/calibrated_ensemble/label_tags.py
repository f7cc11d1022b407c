"""Tags of labels, as MONAI Label has them."""

from monailabel.interfaces.datastore import DefaultLabelTag

FINAL = DefaultLabelTag.FINAL.value
"""Tag of the labels that annotators submitted."""
