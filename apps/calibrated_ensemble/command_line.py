"""The command line, `calibrated-ensemble`: its commands and their options."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from apps.calibrated_ensemble.generation_commands import generations
from apps.calibrated_ensemble.option_types import (
    ChosenPreset,
    DemoOhifFolder,
    DemoPacs,
    Device,
    Host,
    Json,
    Port,
    Preset,
    SomeStudies,
    Studies,
    Task,
    TrainedPreset,
    TrainedTask,
    Workspace,
    command_options,
)
from apps.calibrated_ensemble.terminal.exit_status import exit_status
from lib.models.kinds.method import Method

# What a command needs is imported when it runs: torch alone takes seconds, and `--help` should not.

app = typer.Typer(
    name="calibrated-ensemble",
    help="Segmentation ensembles with calibrated probabilities, and the least certain scan next.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

viewer = typer.Typer(help="The viewer for the browser.", no_args_is_help=True)
app.add_typer(viewer, name="viewer")

app.add_typer(generations, name="generations")


@app.command()
def prepare(
    images: Annotated[Path, typer.Option(help="Folder of scans, Decathlon or nnU-Net style.")],
    output: Annotated[Path, typer.Option(help="The studies folder to make or add to.")],
    labels: Annotated[Path | None, typer.Option(help="Folder of labels, named like the scans.")] = None,
    labelled: Annotated[int | None, typer.Option(help="How many labels to take; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="Chooses the order in which labels are taken.")] = 0,
    regions: Annotated[Path | None, typer.Option(help="Folder of region masks, named like the labels.")] = None,
    task: Annotated[str | None, typer.Option(help="Task that names the tag of the region masks.")] = None,
    as_json: Json = False,
) -> None:
    """Make a studies folder from a Decathlon or nnU-Net style data set."""
    from apps.calibrated_ensemble.commands.prepare import run_prepare

    run_prepare(images, labels, output, labelled=labelled, seed=seed, regions=regions, task=task, as_json=as_json)


@app.command()
def train(
    studies: Studies,
    workspace: Workspace = None,
    task: Task = None,
    preset: ChosenPreset = None,
    device: Device = None,
    method: Annotated[
        Method, typer.Option(help="How networks are made to differ; seeds and dropout are baselines, never served.")
    ] = Method.CALIBRATED,
    as_json: Json = False,
) -> None:
    """Train, calibrate, publish and score without a server; interrupted, it goes on when repeated."""
    from apps.calibrated_ensemble.commands.train import run_train

    run_train(command_options(studies, workspace, task, preset, device), method=method, as_json=as_json)


@app.command()
def retrain(
    studies: SomeStudies = None,
    server: Annotated[
        str | None, typer.Option(help="URL of a running server that does it in its own queue, instead of --studies.")
    ] = None,
    workspace: Workspace = None,
    task: Task = None,
    preset: ChosenPreset = None,
    device: Device = None,
    min_new_labels: Annotated[
        int, typer.Option(min=1, help="Train when so many labels are new or changed since the current generation.")
    ] = 1,
    max_age: Annotated[
        float | None,
        typer.Option(min=0, help="Days after which one changed, new or removed label is enough."),
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(min=0, help="Stop after so long; the next night goes on where this one was.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Train whatever is new.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and why; change nothing.")] = False,
    dice_tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="By how much the cross-validated DSC may fall by chance.")
    ] = 0.01,
    calibration_tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="By how much the calibration error may grow by chance.")
    ] = 0.02,
    webhook: Annotated[
        str | None,
        typer.Option(help="URL that the summary is posted to.", envvar="CALIBRATED_ENSEMBLE_WEBHOOK"),
    ] = None,
    as_json: Json = False,
) -> int:
    """Train if there is something to learn, publish what is no worse, score; for cron and timers."""
    from apps.calibrated_ensemble.commands.retrain import run_retrain
    from apps.calibrated_ensemble.retraining.options import RetrainingOptions
    from lib.publication.gate import GateTolerance

    night = RetrainingOptions(
        min_new_labels=min_new_labels,
        max_age_days=max_age,
        force=force,
        max_hours=max_hours,
        tolerance=GateTolerance(dice=dice_tolerance, calibration_error=calibration_tolerance),
        webhook=webhook,
    )
    options = command_options(studies, workspace, task, preset, device)
    return run_retrain(options, night, server=server, dry_run=dry_run, as_json=as_json)


@app.command()
def predict(
    images: Annotated[
        list[Path],
        typer.Argument(help="Scans: NIfTI or NRRD files, or folders of one DICOM series.", metavar="IMAGE..."),
    ],
    output: Annotated[Path, typer.Option(help="Folder for predictions, heatmaps and figures.")],
    studies: Annotated[str | None, typer.Option(help="Studies folder whose model predicts.")] = None,
    workspace: Annotated[Path | None, typer.Option(help="Workspace whose model predicts.")] = None,
    task: TrainedTask = None,
    preset: TrainedPreset = None,
    region: Annotated[
        Path | None, typer.Option(help="Region mask of the scan, or a folder of masks named like the scans.")
    ] = None,
    dicom: Annotated[
        bool, typer.Option("--dicom", help="Write heatmaps as DICOM Parametric Maps as well; scans must be DICOM.")
    ] = False,
    device: Device = None,
    as_json: Json = False,
) -> int:
    """Segment scans: labels, calibrated heatmap and estimated DSC of each."""
    from apps.calibrated_ensemble.commands.predict import run_predict

    options = command_options(studies, workspace, task, preset, device)
    return run_predict(images, output, options, region=region, dicom=dicom, as_json=as_json)


@app.command()
def rank(
    studies: Studies,
    workspace: Workspace = None,
    task: TrainedTask = None,
    preset: TrainedPreset = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """List the unlabelled scans, least certain first, after scoring those that have no score yet."""
    from apps.calibrated_ensemble.commands.rank import run_rank

    run_rank(command_options(studies, workspace, task, preset, device), as_json=as_json)


@app.command()
def evaluate(
    images: Annotated[Path, typer.Option(help="Folder of scans, Decathlon or nnU-Net style.")],
    labels: Annotated[Path, typer.Option(help="Folder of labels, named like the scans.")],
    output: Annotated[Path, typer.Option(help="Folder for metrics.json, figures and report.html.")],
    studies: Annotated[
        str | None, typer.Option(help="Studies folder whose model is judged; its labels give intervals.")
    ] = None,
    workspace: Annotated[Path | None, typer.Option(help="Workspace whose model is judged.")] = None,
    task: TrainedTask = None,
    preset: TrainedPreset = None,
    regions: Annotated[Path | None, typer.Option(help="Folder of region masks, named like the labels.")] = None,
    corrupt: Annotated[
        bool, typer.Option("--corrupt", help="Corrupt the scans as scanners do, always in the same way.")
    ] = False,
    include_trained: Annotated[
        bool, typer.Option("--include-trained", help="Judge by scans that were trained on as well; flatters the model.")
    ] = False,
    device: Device = None,
    as_json: Json = False,
) -> int:
    """Judge heatmaps and estimated DSC by labelled scans that were not trained on; repeated, nothing runs twice."""
    from apps.calibrated_ensemble.commands.evaluate import run_evaluate

    return run_evaluate(
        images,
        labels,
        output,
        command_options(studies, workspace, task, preset, device),
        regions=regions,
        corrupt=corrupt,
        include_trained=include_trained,
        as_json=as_json,
    )


@app.command()
def serve(
    studies: Annotated[str, typer.Option(help="Studies folder, or URL of a DICOMweb server.")],
    workspace: Workspace = None,
    task: Task = None,
    preset: ChosenPreset = None,
    device: Device = None,
    lease_minutes: Annotated[
        float | None, typer.Option(help="How long a scan is kept for whoever it was served to; 120 by default.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    as_json: Json = False,
) -> None:
    """Start the MONAI Label server with this app."""
    from apps.calibrated_ensemble.commands.serve import run_serve

    options = command_options(studies, workspace, task, preset, device, lease_minutes=lease_minutes)
    run_serve(options, host=host, port=port, as_json=as_json)


@app.command()
def demo(
    studies: Annotated[
        Path | None, typer.Option(help="Your scans instead: a studies folder, or one with imagesTr and labelsTr.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps everything.")] = Path("demo"),
    task: Annotated[
        str | None, typer.Option(help="Task of your scans; by default the one that --studies is named after.")
    ] = None,
    preset: Annotated[Preset, typer.Option(help="Network size and schedule.")] = Preset.DEMO,
    device: Device = None,
    start_server: Annotated[bool, typer.Option("--serve/--no-serve", help="Start the server at the end.")] = True,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    as_json: Json = False,
) -> None:
    """Show the whole loop on made-up scans whose true probabilities are known, then start the server."""
    from apps.calibrated_ensemble.demo.phantom_demo import run_demo

    run_demo(
        folder,
        studies=studies,
        task=task,
        preset=preset.value,
        device=device,
        address=(host, port) if start_server else None,
        as_json=as_json,
    )


@app.command("demo-ohif")
def demo_ohif(
    pacs: DemoPacs = None,
    folder: DemoOhifFolder = Path("demo/ohif"),
    device: Device = None,
    start_server: Annotated[bool, typer.Option("--serve/--no-serve", help="Start the server at the end.")] = True,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    as_json: Json = False,
) -> None:
    """Show annotating in the browser: a PACS with made-up scans, a trained ensemble, and OHIF."""
    from apps.calibrated_ensemble.demo.ohif_demo import run_demo_ohif

    address = (host, port) if start_server else None
    run_demo_ohif(folder, pacs=pacs, device=device, address=address, as_json=as_json)


@app.command("demo-ohif-add")
def demo_ohif_add(
    dicom: Annotated[Path, typer.Argument(help="Folder of DICOM files.", metavar="DIR")],
    pacs: DemoPacs = None,
    folder: DemoOhifFolder = Path("demo/ohif"),
    as_json: Json = False,
) -> None:
    """Put your own scans into the PACS of `demo-ohif`, whether that runs or not."""
    from apps.calibrated_ensemble.demo.ohif_demo import run_demo_ohif_add

    run_demo_ohif_add(dicom, folder, pacs=pacs, as_json=as_json)


@viewer.command("install")
def viewer_install(
    folder: Annotated[
        Path | None,
        typer.Option(
            envvar="CALIBRATED_ENSEMBLE_VIEWER_FOLDER",
            help="Where to; by default a cache folder in which the server finds it.",
        ),
    ] = None,
    tarball: Annotated[
        Path | None, typer.Option(help="The npm package's file, fetched elsewhere; by default npm fetches it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Obtain OHIF, once: about 50 MB are fetched with npm, checked, and unpacked into 11 MB."""
    from apps.calibrated_ensemble.commands.viewer import run_viewer_install

    run_viewer_install(folder, tarball=tarball, as_json=as_json)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: of the command line; those of this process when None.

    Returns:
        The exit status, see `exit_status`.
    """
    return exit_status(lambda: app(args=None if arguments is None else list(arguments), standalone_mode=False))


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run())
