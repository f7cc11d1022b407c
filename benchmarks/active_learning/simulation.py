"""Training, testing and labelling in turns, with an annotator who knows all labels."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.active_learning.assessment import true_dsc
from benchmarks.active_learning.candidates import assess_candidates
from benchmarks.active_learning.choice import Strategy, choose, mutual_distances
from benchmarks.active_learning.design import Design, check_design, keep_design
from benchmarks.active_learning.round_records import Candidate, Round, RoundRecords
from benchmarks.experiments.held_out_split import Split
from benchmarks.experiments.titled_progress import ShowProgress
from lib.ensemble_training.train import train_ensemble
from lib.models.ensemble import Ensemble
from lib.models.workspace import Workspace
from lib.progress import Progress


@dataclass(frozen=True)
class _Choice:
    """What a strategy chose of which scans; see `Round`."""

    candidates: Mapping[str, Candidate]
    chosen: tuple[str, ...]
    mutual_distances: tuple[float, ...]


_NOTHING = _Choice({}, (), ())


class Simulation:
    """All repetitions and rounds of a design, each done once.

    Args:
        design: how it goes.
        split: the scans.
        output: folder; rounds are kept in `rounds/`, workspaces only while their round lasts.
        show_progress: see `ShowProgress`.
        device: see `lib.networks.devices.choose_device`.

    Raises:
        InputError: too few scans, or the folder holds the rounds of another design.
    """

    def __init__(
        self, design: Design, split: Split, output: Path, *, show_progress: ShowProgress, device: str = "auto"
    ):
        check_design(design, split)
        keep_design(output / "design.json", design, split)
        self._design = design
        self._pool = {scan.name: scan for scan in split.pool}
        self._test = split.test
        self._records = RoundRecords(output / "rounds")
        self._workspaces = output / "workspaces"
        self._show_progress = show_progress
        self._device = device

    def run(self) -> list[Round]:
        """Do what is missing, and give all rounds.

        Raises:
            InputError: a scan or label cannot be used, or the output cannot be written.
            FloatingPointError: a training diverged.
        """
        finished = []
        for seed in range(self._design.seeds):
            start = np.random.default_rng(seed).choice(list(self._pool), self._design.start, replace=False)
            self._finish(seed, self._design.strategies, 0, labelled=tuple(sorted(start.tolist())), folds={})
            for strategy in self._design.strategies:
                finished.append(self._records.read(seed, strategy, 0))
                for number in range(1, self._design.rounds + 1):
                    last = finished[-1]
                    self._finish(seed, [strategy], number, labelled=last.labelled + last.chosen, folds=last.folds)
                    finished.append(self._records.read(seed, strategy, number))
        return finished

    def _finish(
        self,
        seed: int,
        strategies: Sequence[Strategy],
        number: int,
        *,
        labelled: tuple[str, ...],
        folds: Mapping[str, int],
    ) -> None:
        """Do a round of strategies whose labelled scans are the same, for those that miss it."""
        missing = [strategy for strategy in strategies if not self._records.has(seed, strategy, number)]
        name = f"seed_{seed}-" + (f"{strategies[0].value}-round_{number}" if number else "start")
        workspace = Workspace(self._workspaces / name)
        if missing:
            with self._show_progress(f"{name}, {len(labelled)} labelled scans") as progress:
                began = time.perf_counter()
                ensemble = self._train(seed, labelled, folds, workspace, progress)
                test_dsc = {}
                for done, scan in enumerate(self._test, 1):
                    test_dsc[scan.name] = true_dsc(ensemble, scan)
                    progress("testing", done, len(self._test))
                choices = dict.fromkeys(missing, _NOTHING)
                if number < self._design.rounds:
                    choices = self._choose(seed, missing, number, labelled, ensemble, progress)
                seconds = time.perf_counter() - began
            for strategy, choice in choices.items():
                self._records.write(
                    Round(
                        seed=seed,
                        strategy=strategy,
                        number=number,
                        labelled=labelled,
                        folds=dict(ensemble.generation.fold_of_patient),
                        test_dsc=test_dsc,
                        candidates=dict(choice.candidates),
                        chosen=choice.chosen,
                        mutual_distances=choice.mutual_distances,
                        seconds=round(seconds, 1),
                    )
                )
        # Also what a run left that was killed right here.
        if workspace.root.exists():
            shutil.rmtree(workspace.root)

    def _train(
        self,
        seed: int,
        labelled: Sequence[str],
        folds: Mapping[str, int],
        workspace: Workspace,
        progress: Progress,
    ) -> Ensemble:
        task = self._design.task.model_copy(update={"seed": self._design.task.seed + seed})
        # In the product one workspace sees all rounds, and patients keep their folds.
        workspace.write_folds(dict(folds), task.fold_count)
        scans = [self._pool[name] for name in labelled]
        generation = train_ensemble(task, scans, workspace, device=self._device, progress=progress)
        assert generation is not None  # all offsets were asked for
        return Ensemble(generation, device=self._device)

    def _choose(
        self,
        seed: int,
        strategies: Sequence[Strategy],
        number: int,
        labelled: Sequence[str],
        ensemble: Ensemble,
        progress: Progress,
    ) -> dict[Strategy, _Choice]:
        """Let strategies choose by the same model."""
        known = set(labelled)
        unlabelled = [scan for scan in self._pool.values() if scan.name not in known]
        candidates, kept = assess_candidates(
            ensemble,
            unlabelled,
            [self._pool[name] for name in labelled],
            progress,
        )
        choices = {}
        for strategy in strategies:
            chosen = choose(strategy, candidates, self._design.add, rng=np.random.default_rng([seed, number]))
            apart = mutual_distances(candidates.features[chosen]).tolist() if len(chosen) > 1 else []
            choices[strategy] = _Choice(kept, tuple(unlabelled[index].name for index in chosen), tuple(apart))
        return choices
