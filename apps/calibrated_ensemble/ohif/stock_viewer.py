"""The OHIF that comes in MONAI Label's wheel: its files, and its page for every other path."""

from pathlib import Path

import monailabel
from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import FileResponse
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC
from monailabel.utils.others.generic import get_mime_type

FOLDER = Path(monailabel.__file__).parent / "endpoints" / "static" / "ohif"


def stock_viewer_router(folder: Path = FOLDER) -> APIRouter:
    """Give the routes under `/ohif/`, to be put before MONAI Label's, which ends in an error at a folder's name.

    Args:
        folder: of the files; nothing outside is sent.
    """
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    router = APIRouter(
        include_in_schema=False, dependencies=[Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))]
    )

    @router.get("/ohif/{name:path}")
    def file(name: str) -> FileResponse:
        name = name if name in files else "index.html"
        if name not in files:
            raise HTTPException(404, "MONAI Label came without its OHIF")
        return FileResponse(folder / name, media_type=get_mime_type(name))

    return router
