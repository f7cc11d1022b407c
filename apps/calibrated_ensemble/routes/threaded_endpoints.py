"""Inference, the next scan and the saving of labels in threads of their own.

The stock endpoints are coroutines that never wait: while one of them predicts a scan or talks to the
PACS, the server answers nobody, neither other annotators nor the viewer's requests for images.
"""

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Body, Depends, File, Form, UploadFile
from monailabel.config import settings as server_settings
from monailabel.endpoints import activelearning as sample_endpoints
from monailabel.endpoints import infer as infer_endpoints
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.utils.app import app_instance

from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from apps.calibrated_ensemble.routes.label_upload import store_label
from lib.datasets.label_tags import FINAL

_User = Annotated[User, Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))]
_Annotator = Annotated[User, Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))]


def threaded_endpoints_router(submission: LabelSubmission) -> APIRouter:
    """Give routes with the paths and answers of the stock ones, to be put before them.

    Args:
        submission: keeps labels that are not stored.
    """
    router = APIRouter(include_in_schema=False)

    @router.post("/infer/{model}")
    def infer(
        background_tasks: BackgroundTasks,
        user: _User,  # noqa: ARG001
        model: str,
        image: str = "",
        session_id: str = "",
        params: Annotated[str, Form()] = "{}",
        file: Annotated[UploadFile | None, File()] = None,
        label: Annotated[UploadFile | None, File()] = None,
        output: infer_endpoints.ResultType | None = None,
    ) -> Any:
        return infer_endpoints.run_inference(background_tasks, model, image, session_id, params, file, label, output)

    @router.post("/activelearning/{strategy}")
    def next_sample(user: _User, strategy: str, params: Annotated[dict[str, Any] | None, Body()] = None) -> Any:
        return sample_endpoints.sample(strategy, params, user.username)

    @router.put("/datastore/label")
    def save_label(
        user: _Annotator,
        label: Annotated[UploadFile, File()],
        image: str,
        params: Annotated[str, Form()] = "{}",
        tag: str = FINAL,
    ) -> Any:
        return store_label(
            app_instance(), submission, image=image, tag=tag or FINAL, params=params, upload=label, user=user.username
        )

    return router
