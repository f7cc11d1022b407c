"""One fold of a generation as a generation."""

import numpy as np
import pytest
import torch

from lib.models.ensemble import Ensemble, single_fold
from tests.tiny_training import Trained, a_ball_volume


@pytest.mark.parametrize("fold", [0, 1])
def test_the_members_are_those_of_the_fold(trained: Trained, fold: int) -> None:
    one = single_fold(trained.generation, fold)
    assert one.task.fold_count == 1
    for offset in range(3):
        weights, expected = one.load_member(0, offset), trained.generation.load_member(fold, offset)
        assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_heatmaps_of_the_folds_average_to_that_of_the_whole_ensemble(trained: Trained) -> None:
    scan, _ = a_ball_volume(7)
    ensembles = [
        Ensemble(generation, device="cpu")
        for generation in (trained.generation, single_fold(trained.generation, 0), single_fold(trained.generation, 1))
    ]
    heatmaps = [ensemble.predict(scan).heatmap for ensemble in ensembles]
    np.testing.assert_allclose(np.mean(heatmaps[1:], axis=0), heatmaps[0], atol=1e-5)


def test_a_fold_that_is_not_there_is_refused(trained: Trained) -> None:
    with pytest.raises(ValueError, match="folds 0 to 1"):
        single_fold(trained.generation, 2)
    with pytest.raises(ValueError, match="only fold 0"):
        single_fold(trained.generation, 0).load_member(1, 0)
