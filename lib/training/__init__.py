"""One member: loss, patches, stages, folds."""
