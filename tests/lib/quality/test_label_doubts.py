import numpy as np
import pytest

from lib.quality.label_doubts import NOTICED_MM3, label_doubts, outside_region

SHAPE = (20, 20, 10)
AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])
VOXEL = 2.0
CLASSES = ("liver", "tumour")


@pytest.fixture
def truth() -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    label[2:10, 2:10, 2:8] = 1
    label[12:18, 12:18, 2:8] = 2
    return label


@pytest.fixture
def heatmap(truth: np.ndarray) -> np.ndarray:
    return np.stack([0.05 + 0.9 * (truth == index) for index in (1, 2)]).astype(np.float32)


def kinds(label: np.ndarray, heatmap: np.ndarray, truth: np.ndarray) -> list[tuple[str, str, float]]:
    doubts = label_doubts(label, heatmap, truth, classes=CLASSES, affine=AFFINE)
    return [(doubt.kind, doubt.class_name, doubt.volume_mm3) for doubt in doubts]


def test_what_the_model_expects_raises_no_doubt(truth: np.ndarray, heatmap: np.ndarray) -> None:
    assert kinds(truth, heatmap, truth) == []


def test_a_class_that_is_missing_altogether_is_told_once(truth: np.ndarray, heatmap: np.ndarray) -> None:
    label = np.where(truth == 2, 0, truth)
    assert kinds(label, heatmap, truth) == [("missing_class", "tumour", 216 * VOXEL)]
    (doubt,) = label_doubts(label, heatmap, truth, classes=CLASSES, affine=AFFINE)
    assert doubt.message == "tumour: is not in the label, and the model expects 0.432 ml of it"
    assert truth[doubt.voxel] == 2


def test_a_class_that_only_the_segmentation_has_is_expected_too(truth: np.ndarray, heatmap: np.ndarray) -> None:
    assert kinds(np.where(truth == 2, 0, truth), heatmap * 0.6, truth)[0][:2] == ("missing_class", "tumour")


def test_a_lesion_erased_and_one_painted_elsewhere_are_both_told(truth: np.ndarray, heatmap: np.ndarray) -> None:
    label = np.where(truth == 2, 0, truth)
    label[0:6, 14:19, 3:8] = 2
    assert kinds(label, heatmap, truth) == [
        ("missed", "tumour", 216 * VOXEL),
        ("unexpected", "tumour", 150 * VOXEL),
    ]


def test_one_voxel_of_each_class_in_opposite_corners_is_no_label(truth: np.ndarray, heatmap: np.ndarray) -> None:
    label = np.zeros(SHAPE, np.uint8)
    label[0, 0, 0], label[-1, -1, -1] = 1, 2
    assert [kind[:2] for kind in kinds(label, heatmap, truth)] == [("missed", "liver"), ("missed", "tumour")]


def test_the_place_is_in_the_middle_of_the_largest_region(truth: np.ndarray, heatmap: np.ndarray) -> None:
    label = truth.copy()
    label[0, 0, 0] = 1
    label[12:17, 0:5, 3:8] = 1
    (doubt,) = label_doubts(label, heatmap, truth, classes=CLASSES, affine=AFFINE)
    assert doubt.voxel == (14, 2, 5)
    assert doubt.described(AFFINE) == {
        "kind": "unexpected",
        "class": "liver",
        "message": "liver: 0.252 ml are drawn where the model expects none (probability below 0.25)",
        "volume_mm3": 126 * VOXEL,
        "voxel": [14, 2, 5],
        "lps_mm": [14.0, -2.0, 10.0],
    }


def test_matters_of_taste_are_not_told(truth: np.ndarray, heatmap: np.ndarray) -> None:
    label = truth.copy()
    few = int(NOTICED_MM3 / VOXEL) - 1
    label.reshape(-1)[:few] = 1
    assert kinds(label, heatmap, truth) == []


def test_every_voxel_outside_the_region_is_told(truth: np.ndarray) -> None:
    region = np.ones(SHAPE, bool)
    region[:3] = False
    (doubt,) = outside_region(truth, region, classes=CLASSES, affine=AFFINE, region_name="abdomen")
    assert (doubt.kind, doubt.class_name, doubt.volume_mm3) == ("outside_region", "liver", 48 * VOXEL)
    assert doubt.message == "liver: 48 voxels (0.096 ml) lie outside the mask abdomen and do not count"
    assert not region[doubt.voxel]
    assert outside_region(truth, np.ones(SHAPE, bool), classes=CLASSES, affine=AFFINE, region_name="abdomen") == []
