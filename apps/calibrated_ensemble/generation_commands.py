"""The command line, `calibrated-ensemble generations`: its commands and their options."""

from typing import Annotated

import typer

from apps.calibrated_ensemble.option_types import Generation, Json, SomeStudies, Workspace, command_options

generations = typer.Typer(help="The generations of a workspace, and which one is served.", no_args_is_help=True)


@generations.command("list")
def generations_list(studies: SomeStudies = None, workspace: Workspace = None, as_json: Json = False) -> None:
    """List all generations and how each stands, the newest first."""
    from apps.calibrated_ensemble.commands.generations import run_list

    run_list(command_options(studies, workspace), as_json=as_json)


@generations.command("show")
def generations_show(
    generation: Generation, studies: SomeStudies = None, workspace: Workspace = None, as_json: Json = False
) -> None:
    """Show one generation: its settings and figures, and whether its files are as published."""
    from apps.calibrated_ensemble.commands.generations import run_show

    run_show(command_options(studies, workspace), generation, as_json=as_json)


@generations.command("diff")
def generations_diff(
    before: Generation,
    after: Generation,
    studies: SomeStudies = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Compare two generations: labels, settings, and the figures of the gate."""
    from apps.calibrated_ensemble.commands.generations import run_diff

    run_diff(command_options(studies, workspace), before, after, as_json=as_json)


@generations.command("publish")
def generations_publish(
    generation: Generation, studies: SomeStudies = None, workspace: Workspace = None, as_json: Json = False
) -> None:
    """Serve a generation from now on, whatever held it back; running servers follow."""
    from apps.calibrated_ensemble.commands.generations import run_publish

    run_publish(command_options(studies, workspace), generation, as_json=as_json)


@generations.command("rollback")
def generations_rollback(
    studies: SomeStudies = None,
    workspace: Workspace = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the list.")] = "rolled back by a person",
    as_json: Json = False,
) -> None:
    """Serve the generation before the current one, which no night publishes again by itself."""
    from apps.calibrated_ensemble.commands.generations import run_rollback

    run_rollback(command_options(studies, workspace), reason=reason, as_json=as_json)


@generations.command("prune")
def generations_prune(
    studies: SomeStudies = None,
    workspace: Workspace = None,
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest stay.")] = 10,
    days: Annotated[float | None, typer.Option(min=0, help="Those younger than so many days stay as well.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old generations; never the current one, its predecessor, or one that is being read."""
    from apps.calibrated_ensemble.commands.generations import run_prune

    run_prune(command_options(studies, workspace), keep=keep, days=days, dry_run=dry_run, as_json=as_json)
