"""Quality of a prediction, against the formulas written out."""

from dataclasses import replace

import numpy as np
import pytest

from lib.models.prediction import Prediction, any_class

AFFINE = np.diag([-2.0, 2.0, 3.0, 1.0])


@pytest.fixture
def prediction() -> Prediction:
    """Two voxels of the first class, none of the second, of 12 mm3 each."""
    segmentation = np.zeros((3, 3, 3), np.uint8)
    heatmap = np.zeros((2, 3, 3, 3), np.float32)
    segmentation[0, 0, :2] = 1
    heatmap[0, 0, 0] = (0.75, 0.5, 0.25)
    heatmap[1, 2, 2, 2] = 0.5
    return Prediction(
        segmentation=segmentation,
        heatmap=heatmap,
        affine=AFFINE,
        generation="20260101T000000-01234567",
        classes=("tumour", "cyst"),
        typical_volumes=(100.0, 60.0),
    )


def test_the_estimated_dsc_is_that_of_the_heatmap_in_place_of_the_truth(prediction: Prediction) -> None:
    # 2 sum(h p) / (sum(h) + sum(p)); and 1 - sum(h) v / typical where nothing is predicted.
    assert prediction.estimated_dsc == pytest.approx({"tumour": 2 * 1.25 / (1.5 + 2), "cyst": 1 - 0.5 * 12 / 60})
    assert prediction.mean_estimated_dsc == pytest.approx((2.5 / 3.5 + 0.9) / 2)


def test_a_class_whose_heatmap_tells_nothing_is_estimated_by_what_is_expected_of_it(prediction: Prediction) -> None:
    doubtful = replace(prediction, expected_dsc={"cyst": 0.0})
    assert doubtful.estimated_dsc == pytest.approx({"tumour": 2 * 1.25 / (1.5 + 2), "cyst": 0.0})
    assert list(doubtful.estimated_dsc) == ["tumour", "cyst"]


def test_nothing_is_estimated_where_the_region_mask_is_empty(prediction: Prediction) -> None:
    nowhere = replace(prediction, is_nowhere=True, expected_dsc={"cyst": 0.0})
    assert (nowhere.estimated_dsc, nowhere.mean_estimated_dsc) == ({}, None)


def test_volumes_are_in_cubic_millimetres(prediction: Prediction) -> None:
    assert prediction.volume_mm3 == {"tumour": 24.0, "cyst": 0.0}
    assert prediction.expected_volume_mm3 == {"tumour": pytest.approx(18.0), "cyst": pytest.approx(6.0)}


def test_quality_is_computed_when_it_is_asked_for_and_once(
    prediction: Prediction, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lib.models import prediction as module

    calls = []
    estimate = module.estimated_dsc
    monkeypatch.setattr(module, "estimated_dsc", lambda *given, **named: calls.append(1) or estimate(*given, **named))
    assert calls == []
    assert prediction.estimated_dsc is prediction.estimated_dsc
    assert calls == [1]
    # Another heatmap is another prediction.
    assert replace(prediction, heatmap=prediction.heatmap * 0).estimated_dsc["tumour"] == 0.0


def test_any_class_is_the_sum_and_at_most_1(prediction: Prediction) -> None:
    assert prediction.foreground.shape == (3, 3, 3)
    assert prediction.foreground.sum() == pytest.approx(2.0)
    assert any_class(np.full((3, 1, 1, 1), 0.5, np.float32)).tolist() == [[[1.0]]]


def test_a_prediction_tells_its_size(prediction: Prediction) -> None:
    assert prediction.nbytes == 27 + 2 * 27 * 4
