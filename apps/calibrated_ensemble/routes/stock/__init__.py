"""Routes of MONAI Label that are replaced by careful ones of the same paths and answers, or switched off."""
