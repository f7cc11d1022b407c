"""Writing a generation, whole or not at all."""

import os
import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path

from lib.models.generation import Generation, read_generation
from lib.models.generation_folder import (
    CALIBRATION,
    EVALUATIONS,
    FOLDS,
    LABELS,
    MANIFEST,
    MEMBERS,
    METRICS,
    PLAN,
    STATISTICS,
    TASK,
    evaluation_name,
    generation_id,
    member_name,
    write_json,
)
from lib.models.training_result import TrainingResult
from lib.models.workspace import Workspace
from lib.storage.arrays import pack_arrays
from lib.storage.atomic import atomic_folder
from lib.storage.digest import digest_file
from lib.version import PACKAGE, package_version

_PACKAGES = (PACKAGE, "torch", "monai", "numpy", "scipy")


def publish(result: TrainingResult, workspace: Workspace) -> Generation:
    """Write what a training made as a generation; what is served stays, see `Workspace.make_current`.

    Args:
        result: members are linked where the file system can, else copied.
        workspace: where generations are kept.

    Raises:
        StorageError: the folder cannot be written to, or the disk is full.
    """
    now = datetime.now(UTC)
    name = generation_id(now, result.key)
    with atomic_folder(workspace.generations / name) as temporary:
        for folder in (MEMBERS, EVALUATIONS):
            (temporary / folder).mkdir()
        for fold, paths in enumerate(result.members):
            for number, path in enumerate(paths):
                _link(path, temporary / member_name(fold, number))
        for scan, path in result.evaluations.items():
            shutil.copyfile(path, temporary / evaluation_name(scan))
        write_json(temporary / TASK, result.task.model_dump(mode="json"))
        write_json(temporary / PLAN, result.plan.model_dump(mode="json"))
        write_json(
            temporary / CALIBRATION,
            {
                "w_dsc": result.w_dsc,
                "offsets": result.task.offsets,
                "heatmap": result.task.heatmap,
                "fitted": result.calibration.model_dump(mode="json"),
                "typical_volumes": result.typical_volumes,
            },
        )
        write_json(temporary / FOLDS, dict(result.fold_of_patient))
        write_json(temporary / METRICS, dict(result.metrics))
        write_json(temporary / LABELS, dict(result.label_digests))
        (temporary / STATISTICS).write_bytes(pack_arrays(result.statistics.to_arrays()))
        published = sorted(path for path in temporary.rglob("*") if path.is_file())
        manifest = {
            "id": name,
            "key": result.key,
            "method": result.method,
            "labels_digest": result.labels_digest,
            "created": now.isoformat(timespec="seconds"),
            "seed": result.task.seed,
            "versions": {"python": platform.python_version()} | {one: package_version(one) for one in _PACKAGES},
            "files": {path.relative_to(temporary).as_posix(): digest_file(path) for path in published},
        }
        write_json(temporary / MANIFEST, manifest)
    return read_generation(workspace.generations / name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
