"""Inference over HTTP: of a scan of the datastore, or of what came with the request; of no path of this machine.

In threads, since a coroutine that predicts would keep the server from answering anybody else.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, BackgroundTasks, Depends, File, Form, UploadFile
from monailabel.config import settings as server_settings
from monailabel.endpoints import infer as infer_endpoints
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.datastore import Datastore
from monailabel.utils.sessions import Sessions

from apps.calibrated_ensemble.routes.stock.request_checks import json_object
from apps.calibrated_ensemble.routes.stock.uploads import SENT_SCAN, named, stored_scan
from lib.datasets.label_tags import FINAL, check_tag
from lib.errors import InputError

_WISHES = ("class", "levels", "result_compress", "result_dtype", "result_extension", "save_label", "label_tag")
"""Keys of `params` that count; whatever else a client sends names nothing on this machine."""


class ServedApp(Protocol):
    """What of MONAI Label's app the routes use."""

    def datastore(self) -> Datastore:
        """Where the scans are."""
        ...

    def info(self) -> dict[str, Any]:
        """What `/info/` answers."""
        ...

    def sessions(self) -> Sessions | None:
        """Scans that clients sent to be predicted several times."""
        ...

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Predict a scan of the datastore."""
        ...

    def infer_sent(self, request: dict[str, Any], image: Path) -> dict[str, Any]:
        """Predict a file or folder that a client sent."""
        ...


def inference_router(app: ServedApp, session_image: Callable[[str], Path]) -> APIRouter:
    """Give `/infer/{model}` with the parameters and answers of MONAI Label's, to be put before it.

    Args:
        app: predicts.
        session_image: file or folder of a session; raises where there is none.
    """
    router = APIRouter(include_in_schema=False)

    @router.post("/infer/{model}")
    def infer(
        background_tasks: BackgroundTasks,
        user: Annotated[User, Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))],  # noqa: ARG001
        model: str,
        image: str = "",
        session_id: str = "",
        params: Annotated[str, Form()] = "{}",
        file: Annotated[UploadFile | None, File()] = None,
        label: Annotated[UploadFile | None, File()] = None,  # noqa: ARG001
        output: infer_endpoints.ResultType | None = None,
    ) -> Any:
        request = {"model": model, "image": image, **_wishes(params)}
        if output == infer_endpoints.ResultType.dicom_seg:
            raise InputError(
                "output: is 'dicom_seg'; give image, json or all, and submit a label to store it in the PACS"
            )
        with ExitStack() as until_answered:
            if session_id:
                kept = session_image(session_id)
                until_answered.enter_context(named(kept, SENT_SCAN))
                result = app.infer_sent(request, kept)
            elif file is not None:
                sent = until_answered.enter_context(stored_scan(file))
                result = app.infer_sent(request, sent)
            elif image:
                result = app.infer(request)
            else:
                raise InputError("image: give the name of a scan, or send a file")
        return infer_endpoints.send_response(app.datastore(), result, output, background_tasks)

    return router


def _wishes(params: str) -> dict[str, Any]:
    given = json_object(params, where="params")
    wishes = {key: given[key] for key in _WISHES if key in given}
    tag = wishes.get("label_tag")
    if tag is not None:
        check_tag(tag)
    if tag == FINAL and wishes.get("save_label"):
        raise InputError(
            f"label_tag: is {FINAL}, which are the labels that people submit; give another, such as original"
        )
    return wishes
