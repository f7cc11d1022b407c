from apps.calibrated_ensemble.reports.class_colours import class_colour, label_colours
from lib.task.task_file import task_from


def test_colours_of_classes_differ() -> None:
    task = task_from({"name": "two", "modality": "CT", "labels": {"near": 2, "far": 5}}, where="test")
    colours = label_colours(task)
    assert list(colours) == ["near", "far"]
    assert len(set(colours.values())) == 2


def test_the_colour_of_a_class_is_that_of_its_index_and_seven_differ() -> None:
    names = [f"class {number}" for number in range(9)]
    task = task_from(
        {"name": "nine", "modality": "CT", "labels": {name: 9 - n for n, name in enumerate(names)}}, where=""
    )
    assert list(label_colours(task).values()) == [class_colour(index) for index in range(1, 10)]
    assert len({class_colour(index) for index in range(1, 8)}) == 7
    assert class_colour(8) == class_colour(1)
