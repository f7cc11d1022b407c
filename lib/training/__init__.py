"""One member: loss, patches, stages, folds."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "folds": ["Fold", "assign_folds", "split_folds"],
        "loss": ["EnsembleLoss"],
        "member_job": ["MemberJob", "member_jobs"],
        "members": ["train_member", "train_members"],
    },
)
