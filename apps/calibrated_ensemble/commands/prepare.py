"""`prepare`: a studies folder from a public data set."""

import shlex
from pathlib import Path

from apps.calibrated_ensemble.commands.options import naming_options
from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path
from apps.calibrated_ensemble.terminal.output import messages, print_json, show_warnings
from lib.datasets.make_studies import prepare_studies
from lib.errors import InputError


def run_prepare(
    images: Path,
    labels: Path | None,
    output: Path,
    *,
    labelled: int | None,
    seed: int,
    regions: Path | None,
    task: str | None,
    as_json: bool,
) -> None:
    """Make the folder and say what it holds; see `lib.datasets.make_studies.prepare_studies`.

    Raises:
        InputError: see there, and region masks without a task that names their tag.
    """
    show_warnings()
    tag = task_by_name_or_path(task).region if task else None
    if regions is not None and tag is None:
        raise InputError("--regions: give --task as well, a task whose file names the masks' tag, such as kidney_tumor")
    with naming_options("labelled"):
        prepared = prepare_studies(
            images, labels, output, labelled=labelled, seed=seed, regions=regions, region_tag=tag
        )
    if as_json:
        print_json(
            {
                "studies": str(output.absolute()),
                "scans": prepared.scans,
                "labelled": list(prepared.labels),
                "kept": list(prepared.kept),
                "regions": prepared.regions,
                "without_scan": [str(path) for path in prepared.without_scan],
            }
        )
        return
    chosen_task = f" --task {shlex.quote(task)}" if task else ""
    messages.print(
        f"{output}: {prepared.scans} scans, {len(prepared.labels)} of them labelled. "
        f"Next: calibrated-ensemble train --studies {shlex.quote(str(output))}{chosen_task}",
        highlight=False,
        soft_wrap=True,
    )
    if prepared.without_scan:
        messages.print(
            f"{len(prepared.without_scan)} labels or region masks match no scan and are not used: "
            f"{', '.join(map(str, prepared.without_scan))}",
            highlight=False,
            soft_wrap=True,
        )
    if prepared.kept:
        messages.print(
            f"{len(prepared.kept)} labels differ from the source and were kept: {', '.join(prepared.kept)}",
            highlight=False,
            soft_wrap=True,
        )
