"""Sessions: scans that a client sends once and has predicted several times, where the server is told to take them."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, HTTPException, Query, UploadFile
from fastapi.responses import FileResponse
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC
from monailabel.utils.sessions import SessionInfo, Sessions

from lib.errors import InputError
from lib.storage.disk import writing_to

# What the store makes; a path through its folder is none.
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FILE_NAME = re.compile(r"[^/\\\x00-\x1f\ud800-\udfff]+")
_LONGEST_NAME = 200
_LONGEST_EXPIRY = 7 * 24 * 3600


class SessionStore:
    """MONAI Label's store of sessions behind names that cannot lead out of it.

    Args:
        sessions: the store; None where sessions are off.
    """

    def __init__(self, sessions: Sessions | None):
        self._sessions = sessions

    def find(self, session: str) -> SessionInfo:
        """Give a session.

        Raises:
            HTTPException: 404 for one that is not there, or where sessions are off.
        """
        found = None
        if self._sessions is not None and _SESSION.fullmatch(session):
            found = self._sessions.get_session(session)
        if found is None:
            raise HTTPException(404, f"{session}: no such session")
        return found

    def image(self, session: str) -> Path:
        """Give what was sent: a file, or a folder of a DICOM series; raises as `find`."""
        return Path(self.find(session).image)

    def add(self, files: list[UploadFile], expiry: int) -> SessionInfo:
        """Store what was sent.

        Raises:
            InputError: a file's name is a path, or the same as another's.
            StorageError: it cannot be written.
        """
        assert self._sessions is not None
        # The store moves what it is given, so that the folder is empty or gone in the end.
        with tempfile.TemporaryDirectory(prefix="calibrated-ensemble-") as outer:
            folder = Path(outer) / "series"
            folder.mkdir()
            for file in files:
                path = folder / _file_name(file)
                if path.exists():
                    raise InputError(f"files: two are called {path.name}; give each a name of its own")
                with writing_to(path), path.open("wb") as target:
                    shutil.copyfileobj(file.file, target)
            sent = list(folder.iterdir())
            _, session = self._sessions.add_session(str(folder if len(sent) > 1 else sent[0]), expiry)
        return session

    def remove(self, session: str) -> SessionInfo:
        """Remove a session; raises as `find`."""
        found = self.find(session)
        assert self._sessions is not None
        self._sessions.remove_session(session)
        return found


def sessions_router(store: SessionStore) -> APIRouter:
    """Give `/session/` with the parameters and answers of MONAI Label's, without paths of this machine."""
    users = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))]
    router = APIRouter(prefix="/session", include_in_schema=False, dependencies=users)

    @router.put("/")
    def create(
        files: Annotated[list[UploadFile], File()],
        uncompress: bool = False,
        expiry: Annotated[int, Query(ge=0, le=_LONGEST_EXPIRY)] = 0,
    ) -> dict[str, Any]:
        if uncompress:
            raise InputError("uncompress: archives are not unpacked here; send the files of a series one by one")
        session = store.add(files, expiry)
        return {"session_id": session.name, "session_info": _described(session)}

    @router.get("/{session_id}")
    def get(session_id: str, image: bool = False) -> Any:
        session = store.find(session_id)
        if image and Path(session.image).is_file():
            return FileResponse(session.image, filename=Path(session.image).name)
        return _described(session)

    @router.delete("/{session_id}")
    def remove(session_id: str) -> dict[str, Any]:
        return _described(store.remove(session_id))

    return router


def _file_name(file: UploadFile) -> str:
    name = file.filename or ""
    # "meta.info" is the store's own.
    is_name = _FILE_NAME.fullmatch(name) and len(name.encode()) <= _LONGEST_NAME
    if not is_name or name in (".", "..", "meta.info"):
        raise InputError("files: a file's name is no plain name; give one such as scan.nii.gz")
    return name


def _described(session: SessionInfo) -> dict[str, Any]:
    return {key: value for key, value in session.to_json().items() if key not in ("path", "image")}
