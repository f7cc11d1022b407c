"""What the annotation lead sees: a page, and every figure of it as JSON."""

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.datastore import Datastore

from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.progress_page.figures import progress_figures
from apps.calibrated_ensemble.progress_page.page import render_page
from apps.calibrated_ensemble.project import Project

_VIEWER = "/viewer/calibrated-ensemble"
# Nothing runs on the page, and nothing comes from elsewhere.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def progress_router(project: Project, datastore: Datastore, register: ScanRegister) -> APIRouter:
    """Give the routes under `/progress`.

    Args:
        project: whose workspace and database are read.
        datastore: describes the scans.
        register: brings the database's list of scans up to date.
    """
    readers = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))]
    router = APIRouter(prefix="/progress", tags=["Progress"], dependencies=readers)

    def study_of(scan: str) -> str | None:
        study = datastore.get_image_info(scan).get("StudyInstanceUID")
        return None if study is None else str(study)

    @router.get("/figures", summary="How far the work is, every figure")
    def figures() -> dict[str, Any]:
        register.synchronise()
        return progress_figures(project, study_of)

    @router.get("/", summary="How far the work is, for people", response_class=HTMLResponse)
    def page() -> HTMLResponse:
        headers = {
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        return HTMLResponse(render_page(figures(), viewer=_VIEWER), headers=headers)

    return router
