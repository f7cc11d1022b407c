"""Tasks with some settings that experiments ask for."""

from benchmarks.experiments.overridden_task import override_task
from tests.tiny_training import a_task

TASK = a_task()


def test_an_override_leaves_all_else() -> None:
    assert override_task(TASK) == TASK
    shorter = override_task(TASK, iterations=4)
    assert shorter.training == TASK.training.model_copy(update={"iterations": 4})
    assert shorter.model_copy(update={"training": TASK.training}) == TASK


def test_a_heatmap_brings_the_loss_weights_that_it_needs() -> None:
    single = override_task(TASK, heatmap="single")
    assert (single.heatmap, single.offsets) == ("single", (0.0,))
    assert override_task(single, heatmap="votes").offsets == (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)
    assert override_task(TASK, heatmap="soft").offsets == TASK.offsets == (-1.0, 0.0, 1.0)
