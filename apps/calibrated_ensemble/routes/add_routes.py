"""What this app adds to MONAI Label's server: worklist, viewer, DICOMweb proxy, and requests that wait in threads."""

from monailabel.app import app as server
from monailabel.config import settings as server_settings
from monailabel.interfaces.datastore import Datastore
from sqlalchemy import Engine

from apps.calibrated_ensemble.datastores.pacs_studies import PacsStudies
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.ohif.dicomweb_proxy import dicomweb_router
from apps.calibrated_ensemble.ohif.files import find_viewer
from apps.calibrated_ensemble.ohif.viewer_routes import viewer_router
from apps.calibrated_ensemble.routes.threaded_endpoints import long_requests_router
from apps.calibrated_ensemble.routes.worklist import worklist_router
from apps.calibrated_ensemble.settings import AppSettings
from lib.models.workspace import Workspace


def add_routes(
    settings: AppSettings, *, datastore: Datastore, register: ScanRegister, workspace: Workspace, engine: Engine
) -> None:
    """Add the app's routes to the server, before the stock ones.

    Args:
        settings: the app's.
        datastore: where the scans are; the viewer shows those of a PACS.
        register: brings the database's list of scans up to date.
        workspace: gives the current generation.
        engine: from `scoring.database.engine.open_database`.
    """
    routers = [
        long_requests_router(),
        worklist_router(
            datastore=datastore,
            register=register,
            workspace=workspace,
            engine=engine,
            lease_seconds=60 * settings.lease_minutes,
        ),
    ]
    if isinstance(datastore, PacsStudies):
        routers += [dicomweb_router(datastore.name()), viewer_router(find_viewer(settings.viewer_folder))]
    stock = list(server.router.routes)
    for router in routers:
        server.include_router(router, prefix=server_settings.MONAI_LABEL_API_STR)
    added = server.router.routes[len(stock) :]
    server.router.routes[:] = [*added, *stock]
