"""The options that several commands have in common: their types, their help, and what they are gathered into."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from apps.calibrated_ensemble.commands.options import CommandOptions


class Preset(StrEnum):
    """Network size and schedule."""

    PAPER = "paper"
    SMALL = "small"
    DEMO = "demo"


Studies = Annotated[
    str,
    typer.Option(help="Studies folder (scans in its root, labels in labels/final), or URL of a DICOMweb server."),
]
Workspace = Annotated[
    Path | None,
    typer.Option(help="Where models and scores are kept; by default the hidden .calibrated_ensemble of the studies."),
]
Task = Annotated[
    str | None,
    typer.Option(help="Task file, or the name of a task that comes with the app; hippocampus by default."),
]
TrainedTask = Annotated[str | None, typer.Option(help="Task that the model must be of; any by default.")]
ChosenPreset = Annotated[Preset | None, typer.Option(help="Takes the place of the task's preset.")]
TrainedPreset = Annotated[Preset | None, typer.Option(help="Preset that the model must be of; any by default.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:1; auto by default.")]
SomeStudies = Annotated[str | None, typer.Option(help="Studies folder, or URL of a DICOMweb server.")]
Generation = Annotated[str, typer.Argument(help="Name of a generation; a beginning or an end of it will do.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
Host = Annotated[str, typer.Option(help="Address to listen on; the server has no passwords of its own.")]
Port = Annotated[int, typer.Option(min=1, max=65535)]
DemoPacs = Annotated[
    str | None,
    typer.Option(help="URL of a DICOMweb server for tests, to be filled; by default an Orthanc is started."),
]
DemoOhifFolder = Annotated[Path, typer.Option(help="Where the demo keeps everything.")]


def command_options(
    studies: str | None,
    workspace: Path | None,
    task: str | None = None,
    preset: Preset | None = None,
    device: str | None = None,
    *,
    lease_minutes: float | None = None,
) -> CommandOptions:
    """Gather what was given."""
    return CommandOptions(studies, workspace, task, preset.value if preset else None, device, lease_minutes)
