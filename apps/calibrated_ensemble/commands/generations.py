"""`generations`: what there is, how each stands, and which one is served."""

from typing import Any

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.terminal.output import messages, percent, print_json, print_table, show_warnings
from lib.models.generation import Generation
from lib.models.generation_folder import damaged_files
from lib.models.workspace import Workspace
from lib.publication.gate import judge_candidate
from lib.publication.listing import ListedGeneration, find_generation, list_generations
from lib.publication.retention import prune
from lib.publication.serving import roll_back, serve_generation


def run_list(options: CommandOptions, *, as_json: bool) -> None:
    """Print all generations, the newest first.

    Raises:
        InputError: neither studies nor workspace were given.
    """
    listed = list_generations(_workspace(options))
    if as_json:
        print_json([_described(one) for one in listed])
        return
    print_table(
        "Generations, the newest first",
        ("generation", "standing", "scans", "DSC %", "why"),
        [_row(one) for one in listed],
    )


def run_show(options: CommandOptions, name: str, *, as_json: bool) -> None:
    """Print what is known of one generation.

    Raises:
        InputError: no such generation.
        DamagedGenerationError: its settings cannot be read.
    """
    workspace = _workspace(options)
    generation = find_generation(workspace, name)
    listed = next(one for one in list_generations(workspace) if one.id == generation.id)
    damaged = [str(file) for file in damaged_files(generation.path)]
    shown = _described(listed) | {
        "folder": str(generation.path),
        "task": generation.task.name,
        "w_dsc": list(generation.w_dsc),
        "calibration": generation.calibration.model_dump(mode="json"),
        "metrics": dict(generation.metrics),
        "damaged": damaged,
    }
    if as_json:
        print_json(shown)
        return
    for key in ("generation", "standing", "published", "folder", "task", "method", "scans", "w_dsc"):
        print(f"{key}: {shown[key]}")
    for name_, value in generation.metrics["dice"].items():
        print(f"DSC of {name_}: {percent(value)} %")
    for line in (*(f"reason: {reason}" for reason in listed.reasons), *(f"damaged: {file}" for file in damaged)):
        print(line)


def run_diff(options: CommandOptions, first: str, second: str, *, as_json: bool) -> None:
    """Print how the second generation differs from the first: labels, settings, and what the gate measures.

    Raises:
        InputError: no such generation.
        DamagedGenerationError: one of them cannot be read.
    """
    workspace = _workspace(options)
    before, after = find_generation(workspace, first), find_generation(workspace, second)
    known, now = _labels(before), _labels(after)
    report = judge_candidate(after, before)
    labels = {
        "added": sorted(now.keys() - known.keys()),
        "removed": sorted(known.keys() - now.keys()),
        "changed": sorted(scan for scan in now.keys() & known.keys() if now[scan] != known[scan]),
    }
    settings = _differing(before.task.model_dump(mode="json"), after.task.model_dump(mode="json"))
    if as_json:
        compared = {"labels": labels, "settings": settings, "compared": report.figures, "gate": list(report.reasons)}
        print_json({"before": before.id, "after": after.id} | compared)
        return
    print(f"{before.id} -> {after.id}")
    for what, scans in labels.items():
        print(f"labels {what}: {len(scans)} {', '.join(scans[:10])}{' ...' if len(scans) > 10 else ''}".rstrip())
    for key, (old, new) in settings.items():
        print(f"{key}: {old} -> {new}")
    for name, figures in report.figures.items():
        if figures is not None:
            print(f"{name}: {figures['before']:.4f} -> {figures['after']:.4f} on {figures['scans']} scans")
    for reason in report.reasons:
        print(f"the gate would hold it back: {reason}")


def run_publish(options: CommandOptions, name: str, *, as_json: bool) -> None:
    """Serve a generation, whatever held it back.

    Raises:
        InputError: no such generation, or a baseline.
        DamagedGenerationError: its files are not as published.
        StorageError: the workspace cannot be written to.
    """
    workspace = _workspace(options)
    generation = find_generation(workspace, name)
    serve_generation(workspace, generation)
    _tell({"served": generation.id}, f"{generation.id} is served.", as_json=as_json)


def run_rollback(options: CommandOptions, *, reason: str, as_json: bool) -> None:
    """Serve the predecessor of the current generation.

    Raises:
        NotTrainedError: there is no generation.
        InputError: there is no predecessor that may be served.
        DamagedGenerationError: the predecessor's files are not as published.
        StorageError: the workspace cannot be written to.
    """
    left, served = roll_back(_workspace(options), reason)
    _tell(
        {"served": served.id, "held_back": left.id},
        f"{served.id} is served; {left.id} is held back until `generations publish {left.id}`.",
        as_json=as_json,
    )


def run_prune(options: CommandOptions, *, keep: int, days: float | None, dry_run: bool, as_json: bool) -> None:
    """Remove old generations, and say how much was freed.

    Raises:
        BusyError: a training runs in this workspace.
        StorageError: a file cannot be removed.
    """
    done = prune(_workspace(options), keep=keep, days=days, dry_run=dry_run)
    would = "would be " if dry_run else ""
    line = (
        f"{len(done.removed)} generations and {done.files} members and evaluations {would}removed, "
        f"{done.bytes / 1e6:.1f} MB {would}freed."
    )
    if done.read:
        line += f" Being read, and kept: {', '.join(done.read)}."
    figures = {"removed": list(done.removed), "read": list(done.read), "files": done.files, "bytes": done.bytes}
    _tell(figures | {"dry_run": dry_run}, line, as_json=as_json)


def _workspace(options: CommandOptions) -> Workspace:
    show_warnings()
    return CommandContext.of_options(options).existing_workspace()


def _tell(figures: dict[str, Any], line: str, *, as_json: bool) -> None:
    if as_json:
        print_json(figures)
    else:
        messages.print(line, highlight=False, soft_wrap=True)


def _described(listed: ListedGeneration) -> dict[str, Any]:
    known = listed.generation
    return {
        "generation": listed.id,
        "standing": listed.standing,
        "reasons": list(listed.reasons),
        "published": f"{known.published:%Y-%m-%dT%H:%M:%SZ}" if known else None,
        "method": known.method if known else None,
        "scans": known.metrics["scans"] if known else None,
        "dice": dict(known.metrics["dice"]) if known else None,
    }


def _row(listed: ListedGeneration) -> tuple[str, ...]:
    known = listed.generation
    dice = [value for value in known.metrics["dice"].values() if value is not None] if known else []
    mean = sum(dice) / len(dice) if dice else None
    scans = str(known.metrics["scans"]) if known else "-"
    return listed.id, str(listed.standing), scans, percent(mean), "; ".join(listed.reasons)


def _labels(generation: Generation) -> dict[str, str]:
    """Digest of each label by its scan; of an old program's generation the scans alone."""
    known = generation.label_digests
    return dict.fromkeys(generation.metrics["dice_by_scan"], "") if known is None else dict(known)


def _differing(first: dict[str, Any], second: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (first.get(key), second.get(key)) for key in first | second if first.get(key) != second.get(key)}
