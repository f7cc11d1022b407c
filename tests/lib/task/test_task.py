from pathlib import Path
from typing import Any

import pytest

from lib.calibration.base import Calibrator
from lib.calibration.isotonic import Isotonic
from lib.calibration.platt import Platt
from lib.calibration.settings import FoldAggregation, Solver
from lib.calibration.soft import SoftmaxWeights
from lib.calibration.votes import Votes
from lib.errors import InputError
from lib.storage.digest import digest_settings
from lib.task.presets import PRESETS
from lib.task.task import Modality, Task
from lib.task.task_file import read_task, task_from

MINIMAL: dict[str, Any] = {"name": "lesions", "modality": "CT", "labels": {"lesion": 1}}


def task(**settings: Any) -> Task:
    return task_from(MINIMAL | settings, where="lesions.yaml")


def test_what_a_task_does_not_set_is_the_papers_default() -> None:
    made = task()
    assert made.offsets == (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
    assert made.heatmap == "votes"
    assert made.folds is FoldAggregation.MEAN
    assert made.solver is Solver.NONNEGATIVE
    assert made.spacing == "median"
    assert made.w_dsc == "auto"
    assert made.modality is Modality.CT
    assert made.network == PRESETS["small"].network


def test_a_setting_of_the_task_goes_before_its_preset() -> None:
    made = task(preset="paper", training={"iterations": 400})
    assert made.training == PRESETS["paper"].training.model_copy(update={"iterations": 400})
    assert made.network == PRESETS["paper"].network


def test_classes_keep_the_order_of_the_file_not_of_the_values() -> None:
    assert task(labels={"tumour": 2, "cyst": 1}).classes == ("tumour", "cyst")


def test_one_number_is_the_loss_weight_of_a_task_with_one_class() -> None:
    assert task(w_dsc=-1).w_dsc == (-1.0,)


@pytest.mark.parametrize("heatmap", ["single", "single_isotonic"])
def test_heatmaps_of_a_single_loss_weight_need_no_other_offset(heatmap: str) -> None:
    for offsets in ({}, {"offsets": [-1, 0, 1]}):
        made = task(heatmap=heatmap, **offsets)
        assert made.offsets == (0.0,)
        assert Task.model_validate(made.model_dump(mode="json")) == made
    assert task(heatmap="soft", offsets=[-1, 0]).offsets == (-1.0, 0.0)


def test_each_scan_is_a_patient_unless_a_pattern_says_otherwise() -> None:
    grouped = task(patient_pattern="^(P[0-9]+)_")
    assert task().patient("P7_week2") == "P7_week2"
    assert grouped.patient("P7_week2") == grouped.patient("P7_week9") == "P7"
    assert grouped.patient("unnumbered") == "unnumbered"
    assert (grouped.patient_in("P7_week2"), grouped.patient_in("unnumbered")) == ("P7", None)
    assert task().patient_in("P7_week2") is None


@pytest.mark.parametrize("pattern", ["^(?:(P[0-9]+)_)?", "^(P[0-9]+)?_?", "^((?:P[0-9]+)?)"])
def test_a_group_that_need_not_match_names_no_patient_where_it_does_not(pattern: str) -> None:
    grouped = task(patient_pattern=pattern)
    assert grouped.patient("P7_week2") == "P7"
    assert grouped.patient("unnumbered") == "unnumbered"
    assert grouped.patient_in("unnumbered") is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nmae": "x"}, "unknown key `nmae`; known are fold_count, "),
        ({"network": {"filters": 3}}, "unknown key `network.filters`; known are blocks_down, dropout, init_filters"),
        ({"network": 5}, "`network` is 5; give settings, such as network: {init_filters: 8}"),
        ({"spacing": "medium"}, "`spacing` is 'medium'; give three numbers of millimetres"),
        ({"spacing": [1, 1]}, "`spacing` is [1, 1]; give three numbers of millimetres"),
        ({"spacing": [1, 1, 0]}, "`spacing` is [1, 1, 0]; give three numbers of millimetres"),
        ({"spacing": [float("nan"), 1, 1]}, "`spacing` is [nan, 1, 1]; give three numbers of millimetres"),
        ({"modality": "PET"}, "`modality` is 'PET'; give CT or MR"),
        ({"labels": {}}, "`labels` is {}: give at least one foreground class"),
        ({"labels": {"a": 1, "b": 1}}, "two classes have the same value"),
        ({"labels": {"a": 0}}, "`labels.a` is 0; give class names with their values"),
        ({"labels": {"a": 256}}, "`labels.a` is 256; give class names with their values"),
        (
            {"labels": {"Tumor": 1, "tumor": 2}},
            "`labels`: the class names 'Tumor' and 'tumor' are the same but for case",
        ),
        ({"labels": {"Läsion": 1, "LA\u0308SION ": 2}}, "are the same but for case; give two names"),
        ({"labels": {"": 1}}, "`labels`: the class name '' is empty"),
        ({"labels": {" ": 1}}, "`labels`: the class name ' ' is empty"),
        ({"labels": {"Background": 1}}, "`labels`: the class name 'Background' stands for value 0"),
        ({"labels": {"a\nb": 1}}, "`labels`: the class name 'a\\nb' holds control characters"),
        ({"w_dsc": "best"}, "`w_dsc` is 'best'; give one number per class, such as [-0.5, -1.5], or auto"),
        ({"w_dsc": [0, 1]}, "`w_dsc` has 2 values for 1 classes; give one per class"),
        ({"w_dsc": [float("nan")]}, "`w_dsc` is [nan]; give one number per class"),
        ({"w_dsc": True}, "`w_dsc` is True; give one number per class"),
        ({"offsets": [1, 2]}, "`offsets` is [1, 2]: give 1 to 11 ascending numbers, 0 among them"),
        ({"offsets": [1, 0, -1]}, "`offsets` is [1, 0, -1]: give 1 to 11 ascending numbers"),
        ({"heatmap": "hot"}, "`heatmap` is 'hot': give one of single, single_isotonic, soft, votes"),
        ({"heatmap": 3}, "`heatmap` is 3; give one of single, single_isotonic, soft, votes"),
        ({"heatmap": ["single"]}, "`heatmap` is ['single']; give one of single"),
        ({"fold_count": 1}, "`fold_count` is 1; give a whole number, 2 to 10"),
        ({"region": "../kidney"}, "`region` is '../kidney'; give the name of a folder in labels/"),
        ({"patient_pattern": "("}, "`patient_pattern` is '(': no regular expression"),
        ({"patient_pattern": "P[0-9]+"}, "it has no group for the patient"),
        ({"preset": "huge"}, "`preset` is 'huge'; give paper or small or demo"),
        ({"preset": ["demo"]}, "`preset` is ['demo']; give paper or small or demo"),
        ({"training": {"iterations": 2}}, "`training.iterations` is 2; it should be greater than or equal to 4"),
        ({"name": "My task"}, "`name` is 'My task'; give lower-case letters, digits and underscores"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_with_key_value_and_remedy(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        task(**wrong)
    said = str(caught.value)
    assert said.startswith("lesions.yaml: ")
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize("key", ["name", "modality", "labels"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(InputError, match=f"key `{key}` is missing; give "):
        task_from({k: v for k, v in MINIMAL.items() if k != key}, where="lesions.yaml")


def test_the_preset_given_to_read_task_goes_before_the_files(tmp_path: Path) -> None:
    file = tmp_path / "lesions.yaml"
    file.write_text("name: lesions\nmodality: CT\nlabels: {lesion: 1}\npreset: paper\n")
    assert read_task(file).network == PRESETS["paper"].network
    assert read_task(file, preset="demo").network == PRESETS["demo"].network


@pytest.mark.parametrize(
    ("text", "message"),
    [("labels: [", "is not YAML"), ("just words", "holds no settings"), ("", "holds no settings")],
)
def test_a_file_without_settings_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_task(file)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_task(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("settings", "calibrator"),
    [
        ({}, Votes()),
        ({"folds": "vote", "solver": "unconstrained"}, Votes(fold_aggregation="vote", solver="unconstrained")),
        ({"heatmap": "soft", "folds": "vote", "solver": "unconstrained"}, SoftmaxWeights(solver="unconstrained")),
        ({"heatmap": "single", "solver": "unconstrained"}, Platt()),
        ({"heatmap": "single_isotonic"}, Isotonic()),
    ],
)
def test_the_calibrator_has_those_settings_of_the_task_that_are_its_own(
    settings: dict[str, str], calibrator: Calibrator
) -> None:
    assert task(**settings).calibrator == calibrator


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        ({}, "f30599042898e3c001cbc0725197e879162dd9a190848c1f1cd9975b97eea1ac"),
        (
            {"heatmap": "votes", "folds": "vote", "solver": "unconstrained"},
            "979d3a7138efd6fb584e0d46c20f0d8595cd7540082c8ab790e9b56f06542d6f",
        ),
        ({"heatmap": "single"}, "624b2a0583f2c0a30d4ddceccca06007523352abbe50e769be12208bcb5bdde5"),
        (
            {"heatmap": "soft", "solver": "unconstrained"},
            "a5ebab80a2381b6321e8c180cc3ed8da21ca0b29c01bf3afdce7e6da9c5df10a",
        ),
    ],
)
def test_a_task_has_the_digest_that_version_0_1_gave_it(settings: dict[str, str], digest: str) -> None:
    """Members and generations are found by it: another digest trains everything again."""
    given = {
        "name": "glioma",
        "modality": "MR",
        "labels": {"tumour": 1, "oedema": 3},
        "spacing": [1, 1, 2.5],
        "w_dsc": [-0.5, 1],
        "region": "brain",
        "seed": 7,
        "preset": "paper",
    }
    assert digest_settings(Task.model_validate(given | settings).model_dump(mode="json")) == digest


def test_a_generation_of_an_earlier_version_may_have_class_names_that_are_refused_now() -> None:
    assert Task.model_validate(MINIMAL | {"labels": {"Tumor": 1, "tumor": 2}}).classes == ("Tumor", "tumor")
