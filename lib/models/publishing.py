"""Writing a generation, whole or not at all."""

import io
import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from lib.models.generation import (
    _MANIFEST,
    _STATISTICS,
    Findings,
    Generation,
    _member_name,
    _statistics_name,
    read_generation,
)
from lib.models.method import Method
from lib.preprocessing.plan import Plan
from lib.storage.atomic import atomic_folder
from lib.storage.digest import digest_file
from lib.task.task import Task


def publish_generation(
    folder: Path,
    *,
    key: str,
    method: Method,
    labels_digest: str,
    task: Task,
    plan: Plan,
    findings: Findings,
    members: Sequence[Sequence[Path]],
    evaluations: Mapping[str, Path],
) -> Generation:
    """Write a generation into `folder`, whole or not at all.

    Args:
        folder: where generations are kept.
        key: digest of what the generation depends on.
        method: how its networks were made to differ.
        labels_digest: digest of the labelled scans and their classes.
        task: its settings.
        plan: its preprocessing.
        findings: what training and cross-validation found.
        members: weight files, `members[fold][offset]`; linked where the file system can, else copied.
        evaluations: file of each labelled scan's part of the statistics, by its name; empty for a baseline.

    Raises:
        InputError: the folder cannot be written to, or the disk is full.
    """
    now = datetime.now(UTC)
    generation = f"{now:%Y%m%dT%H%M%S}-{key[:8]}"
    with atomic_folder(folder / generation) as temporary:
        (temporary / "members").mkdir()
        for fold, paths in enumerate(members):
            for offset, path in enumerate(paths):
                _link(path, temporary / _member_name(fold, offset))
        (temporary / "out_of_fold").mkdir()
        for scan, path in evaluations.items():
            shutil.copyfile(path, temporary / _statistics_name(scan))
        _write_json(temporary / "task.json", task.model_dump(mode="json"))
        _write_json(temporary / "plan.json", plan.model_dump(mode="json"))
        _write_json(
            temporary / "calibration.json",
            {
                "w_dsc": findings.w_dsc,
                "offsets": task.offsets,
                "heatmap": task.heatmap,
                "fitted": findings.calibration.model_dump(mode="json"),
                "typical_volumes": findings.typical_volumes,
            },
        )
        _write_json(temporary / "folds.json", dict(findings.folds))
        _write_json(temporary / "metrics.json", dict(findings.metrics))
        # Written in one go, since a zip file that meets a full disk complains once more when it is discarded.
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **findings.statistics.to_arrays())
        (temporary / _STATISTICS).write_bytes(buffer.getbuffer())
        files = sorted(path for path in temporary.rglob("*") if path.is_file())
        manifest = {
            "id": generation,
            "key": key,
            "method": method,
            "labels_digest": labels_digest,
            "created": now.isoformat(timespec="seconds"),
            "seed": task.seed,
            "versions": _versions(),
            "files": {path.relative_to(temporary).as_posix(): digest_file(path) for path in files},
        }
        _write_json(temporary / _MANIFEST, manifest)
    return read_generation(folder / generation)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _versions() -> dict[str, str]:
    packages = ("calibrated-ensemble", "torch", "monai", "numpy", "scipy")
    return {"python": platform.python_version()} | {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        # The server finds the app's checkout by its path, whether or not it is installed.
        return "not installed"


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")
