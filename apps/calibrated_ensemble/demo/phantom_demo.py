"""`demo`: train on a few labels, rank the rest, show how far estimates can be trusted, serve."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.commands.serve import exec_server, require_free_port, server_url, what_to_open
from apps.calibrated_ensemble.commands.train import training_figures
from apps.calibrated_ensemble.demo.demo_data import (
    ComparedPrediction,
    DemoData,
    LateEnsemble,
    RememberingScans,
    compare_prediction,
    make_demo_data,
    use_demo_data,
)
from apps.calibrated_ensemble.demo.picture import Panels, draw_picture
from apps.calibrated_ensemble.jobs.train import train
from apps.calibrated_ensemble.tasks.task_files import task_names
from apps.calibrated_ensemble.terminal.output import messages, percent, print_json, print_table, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from lib.models.generation import Generation
from scoring.worklist.ranking import RankedScan, ranking


@dataclass(frozen=True)
class _Line:
    """A scan of the ranking, with its prediction where it was compared or will be drawn."""

    ranked: RankedScan
    checked: ComparedPrediction | None

    @property
    def true_dsc(self) -> float | None:
        """Mean true DSC over the classes."""
        if self.checked is None or self.checked.true_dsc is None:
            return None
        return float(np.mean(list(self.checked.true_dsc.values())))


def run_demo(
    folder: Path,
    *,
    studies: Path | None,
    task: str | None,
    preset: str,
    device: str | None,
    address: tuple[str, int] | None,
    as_json: bool,
) -> None:
    """Run the loop; what an earlier run finished is not done again.

    Args:
        folder: where everything is kept.
        studies: real scans; None for phantoms.
        task: of the real scans; by default the one that their folder is named after.
        preset: network size and schedule.
        device: see `lib.networks.devices.choose_device`.
        address: host and port of the server that is started at the end; None for none.
        as_json: print the figures as JSON.

    Raises:
        InputError: see the single steps.
    """
    show_warnings()
    if address:
        require_free_port(*address)
    start = time.monotonic()
    demo_data = make_demo_data(folder) if studies is None else use_demo_data(studies, folder)
    context = _context(demo_data, folder, studies=studies, task=task, preset=preset, device=device)
    settings = context.task_settings()
    with context.opened(settings) as (project, source):
        scans = RememberingScans(source)
        names = scans.names()
        messages.print(
            f"{demo_data.studies}: {len(names.labelled)} labelled scans, {len(names.all - names.labelled)} without a "
            f"label; task {settings.name}, preset {settings.preset}",
            highlight=False,
            soft_wrap=True,
        )
        with TerminalProgress(messages) as progress:
            trained = training_figures(train(project, scans, progress=progress))
        generation = project.workspace.generation()
        ranked = ranking(project.engine, generation.id)
        lines = _check(generation, scans, ranked, demo_data, device=project.device)
    picture = folder / ("demo.png" if studies is None else f"{demo_data.studies.resolve().name}.png")
    drawn = _draw(picture, lines)
    figures = _figures(demo_data, trained, lines, picture if drawn else None) | {
        "seconds": round(time.monotonic() - start, 1)
    }
    if as_json:
        print_json(figures)
    else:
        _show(figures, lines, generation.task.classes)
    if address:
        messages.print(what_to_open(server_url(*address)), highlight=False, soft_wrap=True)
        exec_server(context, host=address[0], port=address[1])


def _context(
    demo_data: DemoData, folder: Path, *, studies: Path | None, task: str | None, preset: str, device: str | None
) -> CommandContext:
    workspace = None
    if studies is None:
        task = "phantom"
    elif task is None and studies.resolve().name in task_names():
        task = studies.resolve().name
    if demo_data.studies == studies:
        # A trial is kept out of the folder of real scans, whose workspace may hold a real model.
        workspace = folder / f"workspace_{studies.resolve().name}"
    options = CommandOptions(str(demo_data.studies), workspace=workspace, task=task, preset=preset, device=device)
    return CommandContext.of_options(options)


def _check(
    generation: Generation, scans: RememberingScans, ranked: Sequence[RankedScan], demo_data: DemoData, *, device: str
) -> list[_Line]:
    """Look at what can be compared with a truth, or, without one, the two scans that are drawn."""
    ensemble = LateEnsemble(generation, device=device)
    unlabelled = {scan.name: scan for scan in scans.unlabelled()}
    usable = [scan for scan in ranked if scan.error is None]
    wanted = usable if demo_data.labels else usable[:1] + usable[1:][-1:]
    checked = {}
    with TerminalProgress(messages) as progress:
        for number, scan in enumerate(wanted, 1):
            checked[scan.scan] = compare_prediction(ensemble, scans, unlabelled[scan.scan], demo_data)
            progress("comparing", number, len(wanted))
    return [_Line(scan, checked.get(scan.scan)) for scan in ranked]


def _draw(path: Path, lines: Sequence[_Line]) -> bool:
    """Draw the least and the most certain scan in which something is predicted."""
    shown = [line for line in lines if line.checked is not None and line.checked.prediction.segmentation.any()]
    ends = shown if len(shown) < 2 else [shown[0], shown[-1]]
    rows = [
        Panels(
            title=_title(line),
            scan=line.checked.scan,
            segmentation=line.checked.prediction.segmentation,
            heatmap=line.checked.prediction.foreground,
            label=line.checked.label,
            posterior=line.checked.posterior,
        )
        for line in ends
        if line.checked is not None
    ]
    if rows:
        draw_picture(path, rows)
    return bool(rows)


def _title(line: _Line) -> str:
    true = "" if line.true_dsc is None else f", true {percent(line.true_dsc)} %"
    return f"{line.ranked.scan}\nestimated DSC {percent(line.ranked.mean_estimated_dsc)} %{true}"


def _figures(
    demo_data: DemoData, trained: dict[str, Any], lines: Sequence[_Line], picture: Path | None
) -> dict[str, Any]:
    compared = [(line.ranked.mean_estimated_dsc, line.true_dsc) for line in lines if line.true_dsc is not None]
    estimated, true = np.array(compared, dtype=np.float64).reshape(-1, 2).T
    checked = [line.checked for line in lines if line.checked]
    attainable = [
        abs(line.checked.attainable_dsc - line.true_dsc)
        for line in lines
        if line.checked and line.checked.attainable_dsc is not None and line.true_dsc is not None
    ]
    errors = [one.heatmap_error for one in checked if one.heatmap_error is not None]
    enough = len(compared) > 2 and np.ptp(estimated) > 0 and np.ptp(true) > 0
    return {
        "studies": str(demo_data.studies),
        "training": trained,
        "ranking": [
            {
                "scan": line.ranked.scan,
                "estimated_dsc": line.ranked.estimated_dsc,
                "mean_estimated_dsc": line.ranked.mean_estimated_dsc,
                "true_dsc": line.true_dsc,
                "heatmap_error": line.checked.heatmap_error if line.checked else None,
                "error": line.ranked.error,
            }
            for line in lines
        ],
        "mean_estimated_dsc": float(estimated.mean()) if compared else None,
        "mean_true_dsc": float(true.mean()) if compared else None,
        "mean_absolute_error": float(np.abs(estimated - true).mean()) if compared else None,
        "attainable_absolute_error": float(np.mean(attainable)) if attainable else None,
        "rank_correlation": float(spearmanr(estimated, true).statistic) if enough else None,
        "mean_heatmap_error": float(np.mean(errors)) if errors else None,
        "picture": str(picture) if picture else None,
    }


def _show(figures: dict[str, Any], lines: Sequence[_Line], classes: Sequence[str]) -> None:
    compared = figures["mean_absolute_error"] is not None
    print_table(
        "Unlabelled scans, least certain first",
        ("scan", "estimated DSC %", *(("true DSC %",) if compared else ())),
        [
            (
                line.ranked.scan,
                percent(line.ranked.mean_estimated_dsc),
                *((percent(line.true_dsc),) if compared else ()),
            )
            for line in lines
        ],
    )
    dice = figures["training"]["dice"]
    print(f"Cross-validated DSC: {', '.join(f'{name} {percent(dice[name])} %' for name in classes)}")
    if compared:
        print(f"Estimated against true DSC: mean absolute error {100 * figures['mean_absolute_error']:.1f} points")
    if figures["attainable_absolute_error"] is not None:
        print(f"  with the true probabilities it would be {100 * figures['attainable_absolute_error']:.1f} points")
    if figures["rank_correlation"] is not None:
        print(f"Rank correlation of estimated and true DSC: {figures['rank_correlation']:.2f}")
    if figures["mean_heatmap_error"] is not None:
        print(f"Heatmap against true probability: mean absolute error {100 * figures['mean_heatmap_error']:.1f} points")
    if figures["picture"]:
        print(f"Picture: {shlex.quote(figures['picture'])}")
    print(f"Took {figures['seconds']:.0f} s")
