"""`predict`: labels, heatmap and estimated DSC of scans."""

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apps.calibrated_ensemble.commands.context import CommandContext
from apps.calibrated_ensemble.commands.options import CommandOptions
from apps.calibrated_ensemble.terminal.output import messages, percent, print_json, print_table, show_warnings
from apps.calibrated_ensemble.terminal.progress import TerminalProgress
from lib.datasets.image_names import find_image
from lib.datasets.scan_failures import scan_failure
from lib.dicom.parametric_map import parametric_map
from lib.dicom.series import files_of, read_headers, read_series, series_grid
from lib.dicom.source_images import source_images
from lib.errors import InputError
from lib.images.files import read_scan, scan_name, write_volume
from lib.images.region import EMPTY, read_region
from lib.models.ensemble import Ensemble
from lib.storage.atomic import atomic_path, write_text
from lib.storage.file_names import UNUSABLE_NAME, is_text, shown
from lib.task.labels import label_values


def run_predict(
    images: Sequence[Path], output: Path, options: CommandOptions, *, region: Path | None, dicom: bool, as_json: bool
) -> int:
    """Predict each scan; one that cannot be read is reported and does not stop the others.

    Returns:
        Exit status: 0, or 2 when a scan could not be predicted.

    Raises:
        InputError: two scans of one name, no model, heatmaps as DICOM of a scan that is none, or an
            output that cannot be written.
    """
    context = CommandContext.of_options(options)
    show_warnings()
    no_series = [image for image in images if dicom and not image.is_dir()]
    if no_series:
        raise InputError(f"--dicom: {no_series[0]} is no folder; give folders of one DICOM series each")
    counts = Counter(scan_name(image) for image in images)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise InputError(f"{twice[0]}: {counts[twice[0]]} scans have this name; predict them into different folders")
    generation = context.generation()
    task = generation.task
    if region is not None and task.region is None:
        raise InputError(f"--region {region}: the model's task {task.name} has no region; leave the option out")
    if region is None and task.region is not None:
        messages.print(
            f"The task {task.name} has a region mask ({task.region}), but no --region is given: "
            "the scans are predicted whole",
            highlight=False,
            soft_wrap=True,
        )
    ensemble = Ensemble(generation, device=context.settings.device)
    results, failed = [], {}
    with TerminalProgress(messages) as progress:
        for number, image in enumerate(images, 1):
            try:
                results.append(predict_file(ensemble, image, output, region=_region_of(image, region), dicom=dicom))
            except Exception as error:  # whatever one scan raises must not stop the rest
                failed[shown(image)] = reason = scan_failure(error, shown(image))
                messages.print(f"calibrated-ensemble: {reason}", highlight=False, soft_wrap=True)
            progress("predicting", number, len(images), failed=len(failed))
    if as_json:
        print_json({"generation": generation.id, "scans": results, "failed": failed})
    elif results:
        classes = task.classes
        print_table(
            f"Written to {output}",
            ("scan", *(f"{name}: estimated DSC %" for name in classes), *(f"{name}: ml" for name in classes)),
            [
                (
                    result["scan"],
                    *(percent(result["estimated_dsc"][name]) for name in classes),
                    *(f"{result['volume_mm3'][name] / 1000:.2f}" for name in classes),
                )
                for result in results
            ],
        )
    return 2 if failed else 0


def predict_file(
    ensemble: Ensemble, image: Path, output: Path, *, region: Path | None = None, dicom: bool = False
) -> dict[str, Any]:
    """Predict a scan and write `<name>_prediction.nii.gz`, `<name>_heatmap.nii.gz` and `<name>.json`.

    Args:
        ensemble: predicts.
        image: the scan, a file or a folder of one DICOM series.
        output: folder, made when missing.
        region: its region mask.
        dicom: write `<name>_heatmap_<class>.dcm` as well, DICOM Parametric Maps of the series.

    Returns:
        What the JSON file holds: estimated DSC (0..1, None where the mask is empty), volume and expected
        volume (mm3) of each class, generation, and the seconds from the scan's file to the prediction.

    Raises:
        InputError: the scan or its mask cannot be used.
        StorageError: the folder cannot be written to.
    """
    if not is_text(image.name):
        raise InputError(f"{shown(image)}: {UNUSABLE_NAME}")
    start = time.monotonic()
    scan = read_series(files_of(image))[0] if image.is_dir() else read_scan(image)
    headers = read_headers(files_of(image)) if dicom else []
    if headers:
        source_images(headers, series_grid(headers))  # refuses what no object can be made of, before any is written
    prediction = ensemble.predict(scan, read_region(region, scan) if region else None)
    seconds = time.monotonic() - start
    if prediction.is_nowhere:
        messages.print(f"{region}: {EMPTY}. Nothing is predicted or estimated.", highlight=False, soft_wrap=True)
    task = ensemble.generation.task
    result = {
        "scan": scan_name(image),
        "image": shown(image),
        "generation": prediction.generation,
        "task": task.name,
        "labels": dict(task.labels),
        "estimated_dsc": {name: prediction.estimated_dsc.get(name) for name in prediction.classes},
        "mean_estimated_dsc": prediction.mean_estimated_dsc,
        "volume_mm3": dict(prediction.volume_mm3),
        "expected_volume_mm3": dict(prediction.expected_volume_mm3),
        "seconds": round(seconds, 3),
    }
    name = scan_name(image)
    write_volume(output / f"{name}_prediction.nii.gz", prediction.on_scan(label_values(prediction.segmentation, task)))
    write_volume(output / f"{name}_heatmap.nii.gz", prediction.on_scan(prediction.heatmap))
    if headers:
        for class_name, channel in zip(task.classes, prediction.heatmap, strict=True):
            heatmap = parametric_map(channel, headers, class_name=class_name, generation=prediction.generation)
            with atomic_path(output / f"{name}_heatmap_{_in_a_file_name(class_name)}.dcm") as temporary:
                heatmap.save_as(temporary)
    write_text(output / f"{name}.json", json.dumps(result, indent=1, allow_nan=False) + "\n")
    return result


def _in_a_file_name(class_name: str) -> str:
    """The name of a class without what would make it a path, which no other class has."""
    return re.sub(r"[/\\%]", lambda found: f"%{ord(found[0]):02X}", class_name)


def _region_of(image: Path, region: Path | None) -> Path | None:
    """The mask of a scan: the file itself, or the one in a folder that has the scan's name."""
    if region is None or not region.is_dir():
        return region
    name = scan_name(image)
    mask = find_image(region, name)
    if mask is None:
        raise InputError(f"{region}: holds no mask of {name}; name it {name}.nii.gz")
    return mask
