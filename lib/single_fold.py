"""The members of one fold as a generation of their own, for scans that only they have not seen."""

from dataclasses import dataclass, fields

import torch

from lib.generation import Generation


@dataclass(frozen=True)
class SingleFold(Generation):
    """A generation of one fold; `lib.ensemble.Ensemble` predicts with its members alone.

    Attributes:
        fold: number of the fold in the whole generation.
    """

    fold: int

    def load_member(self, fold: int, offset: int) -> dict[str, torch.Tensor]:
        """Weights of a member, see `Generation.load_member`; `fold` is 0, the only one there is."""
        if fold != 0:
            raise ValueError(f"fold {fold}: a single fold has only fold 0")
        return super().load_member(self.fold, offset)


def single_fold(generation: Generation, fold: int) -> SingleFold:
    """Give one fold of a generation.

    Args:
        generation: published, with all its folds.
        fold: 0..fold_count - 1.

    Raises:
        ValueError: there is no such fold.
    """
    if not 0 <= fold < generation.task.fold_count:
        raise ValueError(f"fold {fold}: the generation has folds 0 to {generation.task.fold_count - 1}")
    values = {field.name: getattr(generation, field.name) for field in fields(Generation)}
    values["task"] = generation.task.model_copy(update={"fold_count": 1})
    return SingleFold(**values, fold=fold)
