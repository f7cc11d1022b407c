"""The next scan and the saving of labels in threads of their own, as inference is.

The stock endpoints are coroutines that never wait: while one of them predicts a scan or talks to the
PACS, the server answers nobody, neither other annotators nor the viewer's requests for images.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, File, Form, UploadFile
from monailabel.config import settings as server_settings
from monailabel.endpoints import activelearning as sample_endpoints
from monailabel.endpoints.user.auth import RBAC, User
from monailabel.interfaces.utils.app import app_instance

from apps.calibrated_ensemble.annotator import check_annotator
from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from apps.calibrated_ensemble.routes.label_upload import store_label
from apps.calibrated_ensemble.routes.stock.request_checks import check_json
from lib.datasets.label_tags import FINAL

_User = Annotated[User, Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))]
_Annotator = Annotated[User, Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))]


def threaded_endpoints_router(submission: LabelSubmission) -> APIRouter:
    """Give routes with the paths and answers of the stock ones, to be put before them.

    Args:
        submission: keeps labels that are not stored.
    """
    router = APIRouter(include_in_schema=False)

    @router.post("/activelearning/{strategy}")
    def next_sample(user: _User, strategy: str, params: Annotated[dict[str, Any] | None, Body()] = None) -> Any:
        check_json(params, where="body")
        wishes = {"client_id": (params or {}).get("client_id"), "user": user.username}
        check_annotator(wishes)
        return sample_endpoints.sample(strategy, wishes, user.username)

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
