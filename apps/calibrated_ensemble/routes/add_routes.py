"""What this app adds to MONAI Label's server: worklist, viewer, DICOMweb proxy, threads for what waits, and doors."""

from monailabel.app import app as server
from monailabel.config import settings as server_settings

from apps.calibrated_ensemble.datastores.open_studies import OpenStudies
from apps.calibrated_ensemble.http_errors import answer_errors
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.ohif.dicomweb_proxy import dicomweb_router
from apps.calibrated_ensemble.ohif.files import find_viewer
from apps.calibrated_ensemble.ohif.viewer_routes import viewer_router
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.routes.callers import admit_known_callers
from apps.calibrated_ensemble.routes.sign_in import check_tokens, guard_reload, sign_in_router
from apps.calibrated_ensemble.routes.threaded_endpoints import threaded_endpoints_router
from apps.calibrated_ensemble.routes.token_issuer import TokenIssuer
from apps.calibrated_ensemble.routes.worklist import worklist_router


def add_routes(project: Project, studies: OpenStudies, register: ScanRegister) -> None:
    """Add the app's routes to the server, before the stock ones, and have all of them answer errors alike.

    Args:
        project: what the server works on.
        studies: where the scans are; the viewer shows those that come over DICOMweb.
        register: brings the database's list of scans up to date.
    """
    routers = [threaded_endpoints_router(), worklist_router(project, studies.datastore, register)]
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
    admit_known_callers(server, hosts=project.settings.known_hosts, origins=project.settings.known_origins)
    answer_errors(server)
