"""A label that comes with a request: its file lives in a folder of this process alone, as long as the request takes."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

from fastapi import UploadFile
from monailabel.interfaces.datastore import Datastore

from apps.calibrated_ensemble.annotator import check_annotator
from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from apps.calibrated_ensemble.routes.stock.request_checks import json_object
from lib.errors import ProductError
from lib.images.files import SUFFIXES
from lib.storage.disk import writing_to

_NO_SUFFIX = re.compile(r"[^a-z0-9.]")


class TakingLabels(Protocol):
    """What the app does with labels."""

    def datastore(self) -> Datastore:
        """Where labels are stored."""

    def on_save_label(self, image_id: str, label_id: str, tag: str) -> dict[str, Any]:
        """Take note of a label that was stored, and say what the client is told."""


def store_label(
    app: TakingLabels,
    submission: LabelSubmission,
    *,
    image: str,
    tag: str,
    params: str,
    upload: UploadFile,
    user: str | None,
) -> dict[str, Any]:
    """Store a label that was sent; it is kept whatever goes wrong.

    Args:
        app: knows the datastore, and takes note of what is stored.
        submission: keeps what is not stored.
        image: name of the scan.
        tag: under which it is stored.
        params: JSON object with what the client says of the label.
        upload: the file.
        user: name of who is signed in.

    Returns:
        `image`, `label`, and what the app says of it.

    Raises:
        ProductError: see `save_label` of the datastores.
        ImageNotFoundException: there is no such scan.
    """
    with tempfile.TemporaryDirectory(prefix="calibrated-ensemble-") as folder:
        path = Path(folder) / f"label{_suffix(upload.filename or SUFFIXES[0])}"
        with writing_to(path), path.open("wb") as file:
            shutil.copyfileobj(upload.file, file)
        with submission.keeping(image, path, {}):
            sent = _information(params) | ({"user": user} if user else {})
        label = app.datastore().save_label(image, str(path), tag, sent)
    try:
        told = app.on_save_label(image, label, tag)
    except ProductError as error:
        raise type(error)(f"{error}. The label is stored all the same; submit it again to end the lease") from error
    return {**told, "image": image, "label": label}


def _information(params: str) -> dict[str, Any]:
    sent = json_object(params, where="params")
    check_annotator(sent)
    return sent


def _suffix(filename: str) -> str:
    name = filename.lower()
    known = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)
    return known or _NO_SUFFIX.sub("", Path(name).suffix)[:16]
