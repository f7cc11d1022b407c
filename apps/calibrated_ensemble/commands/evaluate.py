"""`evaluate`: heatmaps and estimates against the labels of scans that were not trained on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.reports.evaluation_folder import write_results
from apps.calibrated_ensemble.terminal.exit_status import DONE, WRONG_INPUT
from apps.calibrated_ensemble.terminal.output import messages, percent, print_json, print_table, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from lib.datasets.scans import LabelledScan
from lib.datasets.studies_folder import read_studies
from lib.errors import InputError
from lib.evaluation.compared_heatmaps import compare_workspace
from lib.evaluation.evaluation import evaluate_chosen
from lib.evaluation.evaluation_scans import AllTrainedOnError, EvaluationScans, select_scans
from lib.task.task import Task


def run_evaluate(
    images: Path,
    labels: Path,
    output: Path,
    options: CommandOptions,
    *,
    regions: Path | None,
    corrupt: bool,
    include_trained: bool,
    as_json: bool,
) -> int:
    """Compare everything that the workspace holds, and write metrics, figures and report.

    A scan or label that cannot be used is reported and does not stop the others.

    Returns:
        Exit status: 0, or 2 when a scan could not be used.

    Raises:
        InputError: nothing to evaluate.
        NotTrainedError: there is no model.
        StorageError: the output cannot be written.
        DamagedGenerationError: a generation's files are not as published.
    """
    context = CommandContext.of_options(options)
    show_warnings()
    task = context.generation().task
    comparison = compare_workspace(context.existing_workspace())
    try:
        chosen = select_scans(
            images,
            labels,
            comparison.served,
            regions=regions,
            include_trained=include_trained,
            studies=_labelled_studies(context, task),
        )
    except AllTrainedOnError as error:
        raise InputError(f"{error}, or --include-trained for figures that flatter it") from error
    for remark in _remarks(chosen, task, regions):
        messages.print(remark, highlight=False, soft_wrap=True)
    with TerminalProgress(messages) as progress:
        evaluation = evaluate_chosen(
            comparison,
            chosen,
            output / "statistics",
            corrupted=corrupt,
            device=context.settings.device,
            progress=progress,
        )
    failed = evaluation.metrics["failed"]
    for reason in failed.values():
        messages.print(f"calibrated-ensemble: {reason}", highlight=False, soft_wrap=True, markup=False)
    write_results(output, evaluation)
    if as_json:
        print_json(evaluation.metrics)
    else:
        _show(evaluation.metrics, output)
    return WRONG_INPUT if failed else DONE


def _labelled_studies(context: CommandContext, task: Task) -> Sequence[LabelledScan]:
    """The labelled scans of the studies folder, where one is given."""
    if context.studies is None or context.is_on_pacs:
        return ()
    return read_studies(Path(context.studies), task).labelled


def _remarks(chosen: EvaluationScans, task: Task, regions: Path | None) -> list[str]:
    remarks = []
    if chosen.left_out:
        remarks.append(f"{chosen.left_out} labelled scans are left out: the model was trained on them")
    if chosen.trained:
        remarks.append(f"{len(chosen.trained)} of the scans were trained on: all figures flatter the model")
    if chosen.unlabelled:
        remarks.append(f"{chosen.unlabelled} scans have no label and are left out")
    if task.region is not None and regions is None:
        remarks.append(
            f"The task {task.name} has a region mask ({task.region}), but no --regions are given: "
            "the scans are judged whole"
        )
    return remarks


def _show(metrics: Mapping[str, Any], output: Path) -> None:
    for label in metrics["classes"]:
        print_table(
            f"{label}: mean DSC {percent(metrics['dice'][label]['mean']['value'])} % of {metrics['scans']} scans; "
            "MAE, bias and Spearman are those of the estimated DSC",
            ("", "ECE %", "Brier %", "MAE %", "bias %", "Spearman"),
            [_row(metrics, name, label) for name in metrics["estimates"]],
        )
    print(f"Report: {output / 'report.html'}")


def _row(metrics: Mapping[str, Any], name: str, label: str) -> tuple[str, ...]:
    heatmap = metrics["heatmaps"].get(name, {}).get(label)
    estimate = metrics["estimates"][name][label]
    correlation = estimate["spearman"]["value"]
    return (
        f"{name} (served)" if name == metrics["default_heatmap"] else name,
        *(percent(heatmap[key]["value"]) if heatmap else "" for key in ("ece", "brier")),
        *(percent(estimate[key]["value"]) for key in ("mae", "bias")),
        "-" if correlation is None else f"{correlation:.2f}",
    )
