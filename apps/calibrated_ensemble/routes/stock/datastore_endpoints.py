"""What clients ask of the datastore where MONAI Label's own endpoints trust what they are sent, or tell paths."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, File, Form, HTTPException, UploadFile
from fastapi.responses import FileResponse
from monailabel.config import settings as server_settings
from monailabel.endpoints.datastore import ResultType
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.datastore import Datastore

from apps.calibrated_ensemble.routes.stock.request_checks import json_object
from apps.calibrated_ensemble.routes.stock.uploads import stored_scan
from lib.datasets.scan_formats import read_scan
from lib.errors import InputError
from lib.images.files import scan_name

_CHECKSUMS = ("SHA256", "SHA512", "MD5")
_User = Annotated[User, Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))]
_Annotator = Annotated[User, Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))]


def datastore_router(datastore: Datastore) -> APIRouter:
    """Give routes with the paths and answers of MONAI Label's, to be put before them.

    Args:
        datastore: finds scans and labels by their names; it raises for those that it does not have.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/datastore/")
    def listing(user: _User, output: ResultType | None = None) -> Any:  # noqa: ARG001
        if output == ResultType.all:
            return datastore.json()
        if output == ResultType.train:
            return [{part: Path(path).name for part, path in pair.items()} for pair in datastore.datalist()]
        return datastore.status()

    @router.head("/datastore/image")
    def check_scan(user: _User, image: str, check_sum: str | None = None) -> dict[str, Any]:  # noqa: ARG001
        path = Path(datastore.get_image_uri(image) or "nowhere")
        if not path.is_file() or (check_sum and not _has_checksum(path, check_sum)):
            raise HTTPException(404)
        return {}

    @router.put("/datastore/image")
    @router.put("/datastore/")
    def upload(
        user: _Annotator,
        file: Annotated[UploadFile, File()],
        image: str = "",
        params: Annotated[str, Form()] = "{}",
        replace: bool = False,
    ) -> dict[str, str]:
        information = json_object(params, where="params") | ({"user": user.username} if user.username else {})
        with stored_scan(file) as path:
            read_scan(path)
            name = image or scan_name(file.filename or "")
            return {"image": datastore.add_image(name, str(path), {**information, "replace": replace})}

    @router.put("/datastore/image/info")
    def describe_scan(user: _Annotator, image: str, info: Annotated[str, Form()] = "{}") -> None:
        datastore.update_image_info(image, _information(info, "info", user))

    @router.put("/datastore/label/info")
    def describe_label(user: _Annotator, label: str, tag: str, info: Annotated[str, Form()] = "{}") -> None:
        datastore.update_label_info(label, tag, _information(info, "info", user))

    @router.put("/datastore/updatelabelinfo")
    def describe_label_as_before(user: _Annotator, label: str, tag: str, params: Annotated[str, Form()] = "{}") -> None:
        datastore.update_label_info(label, tag, _information(params, "params", user))

    @router.get("/datastore/dataset")
    def archive(
        user: _Annotator,  # noqa: ARG001
        background_tasks: BackgroundTasks,
        limit_cases: int | None = None,
    ) -> FileResponse:
        if not datastore.get_labeled_images():
            raise HTTPException(404, "No scan is labelled yet; submit a label first")
        path = Path(datastore.get_dataset_archive(limit_cases))
        background_tasks.add_task(path.unlink, missing_ok=True)
        return FileResponse(path, media_type="application/zip", filename="dataset.zip")

    return router


def _information(text: str, where: str, user: User) -> dict[str, Any]:
    return json_object(text, where=where) | ({"user": user.username} if user.username else {})


def _has_checksum(path: Path, wanted: str) -> bool:
    algorithm, _, digest = wanted.rpartition(":")
    algorithm = algorithm or _CHECKSUMS[0]
    if algorithm not in _CHECKSUMS:
        raise InputError(
            f"check_sum: is of {algorithm[:50]!r}; give one of {', '.join(_CHECKSUMS)}, such as SHA256:..."
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm.lower()).hexdigest() == digest.lower()
