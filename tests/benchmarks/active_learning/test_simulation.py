"""Rounds are done once, on the same start, and never with a test scan."""

import itertools
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from benchmarks.active_learning.__main__ import main
from benchmarks.active_learning.choice import Strategy
from benchmarks.active_learning.design import Design
from benchmarks.active_learning.round_records import Round
from benchmarks.active_learning.simulation import Simulation
from benchmarks.experiments.held_out_split import Split, split_scans
from lib.datasets.decathlon import read_data_set
from lib.errors import InputError
from lib.progress import Progress, silent
from tests.tiny_training import a_task, record_training, write_balls

DESIGN = Design(
    task=a_task(heatmap="single", training={"iterations": 8}),
    start=2,
    add=2,
    rounds=2,
    seeds=1,
    strategies=(Strategy.LEAST_CERTAIN, Strategy.RANDOM),
)


@dataclass(frozen=True)
class Simulated:
    """A finished simulation of balls, of which two are test scans; tests must not write into it."""

    folder: Path
    split: Split
    rounds: list[Round]
    titles: list[str]
    stages: int

    def of(self, strategy: Strategy) -> list[Round]:
        return [one for one in self.rounds if one.strategy is strategy]


class Shown:
    """Lists what began, and stops the work when a stage is reached in the round of this number."""

    def __init__(self, stop: tuple[int, str] | None = None):
        self.titles: list[str] = []
        self._stop = stop

    @contextmanager
    def __call__(self, title: str) -> Iterator[Progress]:
        self.titles.append(title)

        def progress(stage: str, done: int, total: int, /, **figures: float) -> None:
            silent(stage, done, total, **figures)
            if (len(self.titles), stage) == self._stop:
                raise KeyboardInterrupt

        yield progress


def simulate(design: Design, split: Split, output: Path, shown: Shown) -> list[Round]:
    return Simulation(design, split, output, show_progress=shown, device="cpu").run()


def timeless(rounds: list[Round]) -> list[Round]:
    return [one.model_copy(update={"seconds": 0.0}) for one in rounds]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("simulated")
    write_balls(folder, 10)
    split = split_scans(read_data_set(folder / "images", folder / "labels", DESIGN.task).labelled, 2)
    shown = Shown()
    with pytest.MonkeyPatch.context() as patch:
        log = record_training(patch)
        rounds = simulate(DESIGN, split, folder / "output", shown)
    return Simulated(folder, split, rounds, shown.titles, log.count())


def test_strategies_share_the_model_of_the_start(simulated: Simulated) -> None:
    assert [title.split(",")[0] for title in simulated.titles] == [
        "seed_0-start",
        *(f"seed_0-{strategy}-round_{number}" for strategy in ("least_certain", "random") for number in (1, 2)),
    ]
    first, second = (simulated.of(strategy)[0] for strategy in DESIGN.strategies)
    assert (first.labelled, first.test_dsc, first.candidates) == (second.labelled, second.test_dsc, second.candidates)


def test_labels_grow_by_what_was_chosen(simulated: Simulated) -> None:
    for strategy in DESIGN.strategies:
        rounds = simulated.of(strategy)
        assert [len(one.labelled) for one in rounds] == DESIGN.label_counts == [2, 4, 6]
        for one, following in itertools.pairwise(rounds):
            assert len(set(one.chosen)) == 2
            assert not set(one.chosen) & set(one.labelled)
            assert following.labelled == one.labelled + one.chosen
            assert set(one.candidates) == {scan.name for scan in simulated.split.pool} - set(one.labelled)
            assert one.folds.items() <= following.folds.items()
        assert rounds[-1].chosen == ()


def test_test_scans_are_never_labelled(simulated: Simulated) -> None:
    test = {scan.name for scan in simulated.split.test}
    for one in simulated.rounds:
        assert set(one.test_dsc) == test
        assert not test & {*one.labelled, *one.chosen, *one.candidates}
        assert all(0 <= value <= 1 for dsc in one.test_dsc.values() for value in dsc)


def test_the_least_certain_scans_are_chosen(simulated: Simulated) -> None:
    for one in simulated.of(Strategy.LEAST_CERTAIN)[:-1]:
        # The pool is in the order of the names, which decides between equal estimates.
        ranked = sorted(one.candidates, key=lambda name: (sum(one.candidates[name].estimated_dsc), name))
        assert list(one.chosen) == ranked[:2]


def test_no_workspace_outlives_its_round(simulated: Simulated) -> None:
    assert list((simulated.folder / "output" / "workspaces").iterdir()) == []


def test_what_is_finished_is_not_done_again(
    simulated: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(simulated.folder / "output", tmp_path / "output")
    log, shown = record_training(monkeypatch), Shown()
    assert simulate(DESIGN, simulated.split, tmp_path / "output", shown) == simulated.rounds
    assert log.count() == 0
    assert shown.titles == []


def test_an_interrupted_simulation_goes_on_where_it_was(
    simulated: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = record_training(monkeypatch)
    for stop in ((1, "assessing"), (3, "testing")):
        with pytest.raises(KeyboardInterrupt):
            simulate(DESIGN, simulated.split, tmp_path, Shown(stop))
    rounds = simulate(DESIGN, simulated.split, tmp_path, Shown())
    assert timeless(rounds) == timeless(simulated.rounds)
    assert log.count() == simulated.stages


def test_a_strategy_can_be_added(simulated: Simulated, tmp_path: Path) -> None:
    shutil.copytree(simulated.folder / "output", tmp_path / "output")
    design = replace(DESIGN, strategies=(*DESIGN.strategies, Strategy.DIVERSE))
    shown = Shown()
    rounds = simulate(design, simulated.split, tmp_path / "output", shown)
    assert [title.split(",")[0] for title in shown.titles] == [
        "seed_0-start",
        "seed_0-diverse-round_1",
        "seed_0-diverse-round_2",
    ]
    assert rounds[:6] == simulated.rounds
    # The start is trained again, and gives the same model.
    assert rounds[6].test_dsc == simulated.rounds[0].test_dsc
    assert rounds[6].candidates == simulated.rounds[0].candidates


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"add": 1}, "add"),
        ({"task": a_task(heatmap="votes", training={"iterations": 8})}, "task"),
        ({"rounds": 1}, "rounds"),
    ],
)
def test_a_folder_takes_rounds_of_one_design_only(change: dict[str, object], named: str, simulated: Simulated) -> None:
    with pytest.raises(InputError, match=rf"design\.json: its rounds have another `{named}`"):
        simulate(replace(DESIGN, **change), simulated.split, simulated.folder / "output", Shown())  # type: ignore[arg-type]


def arguments(simulated: Simulated, task: Path, *others: str) -> list[str]:
    folders = [f"--{name}={simulated.folder / name}" for name in ("images", "labels")]
    numbers = ["--start=2", "--add=2", "--rounds=2", "--seeds=1", "--test=2"]
    return [*folders, *numbers, f"--task={task}", "--device=cpu", "--strategies", "least_certain", "random", *others]


def test_the_command_reports_what_was_found(
    simulated: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(simulated.folder / "output", tmp_path / "output")
    task = tmp_path / "tiny.yaml"
    task.write_text(a_task().model_dump_json())
    override = ["--heatmap", "single", "--iterations", "8"]
    main(arguments(simulated, task, *override, "--output", str(tmp_path / "output")))
    results = json.loads((tmp_path / "output" / "results.json").read_text())
    last = simulated.of(Strategy.RANDOM)[-1].test_dsc.values()
    assert results["labelled"] == [2, 4, 6]
    assert results["strategies"]["random"]["dsc"][-1]["value"] == pytest.approx(sum(dsc for (dsc,) in last) / 2)
    assert "| least_certain |" in (tmp_path / "output" / "table.md").read_text()
    assert (tmp_path / "output" / "curve.png").stat().st_size > 10_000
    assert "Test DSC %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--iterations", "2"], "`training.iterations` is 2"),
        (["--task", "liver"], "task 'liver': is neither a task file nor"),
        (["--start", "0"], "--start is 0; give a number from 1"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    wrong: list[str], told: str, simulated: Simulated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = tmp_path / "tiny.yaml"
    task.write_text(a_task().model_dump_json())
    with pytest.raises(SystemExit) as exit_:
        main(arguments(simulated, task, "--output", str(tmp_path / "output"), *wrong))
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not (tmp_path / "output").exists()
