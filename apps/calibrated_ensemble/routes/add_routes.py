"""What this app adds to MONAI Label's server, and what it puts in the place of MONAI Label's own routes."""

import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from fastapi.middleware import Middleware
from monailabel.app import app as server
from monailabel.config import settings as server_settings

from apps.calibrated_ensemble.datastores.open_studies import OpenStudies
from apps.calibrated_ensemble.http_errors import answer_errors
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.ohif.dicomweb_proxy import dicomweb_router
from apps.calibrated_ensemble.ohif.files import find_viewer
from apps.calibrated_ensemble.ohif.stock_viewer import stock_viewer_router
from apps.calibrated_ensemble.ohif.viewer_routes import viewer_router
from apps.calibrated_ensemble.plain_text import without_folders
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.routes.callers import admit_known_callers
from apps.calibrated_ensemble.routes.progress import progress_router
from apps.calibrated_ensemble.routes.sign_in import check_tokens, guard_reload, sign_in_router
from apps.calibrated_ensemble.routes.stock.background_tasks import background_tasks_router
from apps.calibrated_ensemble.routes.stock.datastore_endpoints import datastore_router
from apps.calibrated_ensemble.routes.stock.inference import ServedApp, inference_router
from apps.calibrated_ensemble.routes.stock.request_checks import PlainAddresses
from apps.calibrated_ensemble.routes.stock.sessions import SessionStore, sessions_router
from apps.calibrated_ensemble.routes.stock.switched_off import switched_off_router
from apps.calibrated_ensemble.routes.threaded_endpoints import threaded_endpoints_router
from apps.calibrated_ensemble.routes.token_issuer import TokenIssuer
from apps.calibrated_ensemble.routes.worklist import worklist_router
from apps.calibrated_ensemble.settings import is_url, stock_routes


def add_routes(app: ServedApp, project: Project, studies: OpenStudies, register: ScanRegister) -> None:
    """Add the app's routes to the server, before the stock ones, and have all of them answer errors alike.

    Args:
        app: predicts, and knows its tasks and sessions.
        project: what the server works on.
        studies: where the scans are; the viewer shows those that come over DICOMweb.
        register: brings the database's list of scans up to date.
    """
    switched_on = stock_routes(project.settings.stock_routes)
    folders = _server_folders(project)
    sessions = SessionStore(app.sessions() if "session" in switched_on else None)

    def task_names() -> dict[str, Collection[str]]:
        info = app.info()
        return {"train": info["trainers"], "scoring": info["scoring"], "batch_infer": info["models"]}

    routers = [
        switched_off_router(switched_on),
        sessions_router(sessions),
        inference_router(app, sessions.image),
        background_tasks_router(task_names, lambda line: without_folders(line, folders)),
        threaded_endpoints_router(studies.submission),
        datastore_router(studies.datastore),
        worklist_router(project, studies.datastore, register),
        stock_viewer_router(),
        progress_router(project, studies.datastore, register),
    ]
    if studies.dicomweb_url is not None:
        viewer = find_viewer(project.settings.viewer_folder)
        routers += [dicomweb_router(studies.dicomweb_url), viewer_router(viewer)]
    if server_settings.MONAI_LABEL_AUTH_ENABLE:
        realm, timeout = server_settings.MONAI_LABEL_AUTH_REALM_URI, server_settings.MONAI_LABEL_AUTH_TIMEOUT
        issuer = TokenIssuer(realm, timeout=timeout)
        routers.append(sign_in_router(issuer))
        check_tokens(server, issuer)
        guard_reload(server)
    stock = list(server.router.routes)
    for router in routers:
        server.include_router(router, prefix=server_settings.MONAI_LABEL_API_STR)
    added = server.router.routes[len(stock) :]
    server.router.routes[:] = [*added, *stock]
    server.user_middleware.insert(0, Middleware(PlainAddresses))
    admit_known_callers(server, hosts=project.settings.known_hosts, origins=project.settings.known_origins)
    answer_errors(server, folders=folders)


def _server_folders(project: Project) -> tuple[Path, ...]:
    """Folders of this machine that are no client's business, as they are given and without links."""
    folders = [Path(tempfile.gettempdir()), Path.home(), Path(sys.prefix), Path(__file__).parents[3]]
    folders.append(project.workspace.root)
    if not is_url(project.studies):
        folders.append(Path(project.studies).absolute())
    return tuple({*folders, *(folder.resolve() for folder in folders)})
