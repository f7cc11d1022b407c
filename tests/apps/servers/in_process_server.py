"""The whole server in the process of a test: MONAI Label's application with our app and all its routes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from monailabel.app import app as server
from monailabel.config import settings as server_settings
from monailabel.interfaces.utils import app as loaded

from apps.calibrated_ensemble.main import CalibratedEnsembleApp
from apps.calibrated_ensemble.monai_tasks.background_processes import SERVER_PROCESS
from tests.apps.servers.running_server import APP


@contextmanager
def serving(studies: Path | str, conf: dict[str, str]) -> Iterator[TestClient]:
    """Serve studies; what the app changes in the process and in MONAI Label's application is put back at the end.

    Args:
        studies: folder, or URL of a PACS.
        conf: settings of the app.
    """
    routes, middleware, handlers = [*server.router.routes], [*server.user_middleware], {**server.exception_handlers}
    records = logging.getLogRecordFactory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SERVER_PROCESS, "", prepend=None)
        patch.delenv(SERVER_PROCESS)
        patch.setattr(server_settings, "MONAI_LABEL_APP_DIR", str(APP))
        patch.setattr(server_settings, "MONAI_LABEL_STUDIES", str(studies))
        patch.setattr(server_settings, "MONAI_LABEL_AUTO_UPDATE_SCORING", False)
        app = CalibratedEnsembleApp(str(APP), str(studies), conf)
        patch.setitem(loaded.apps, f"{APP}{studies}", app)
        try:
            with TestClient(server, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
                yield client
        finally:
            server.router.routes[:], server.user_middleware[:] = routes, middleware
            server.exception_handlers.clear()
            server.exception_handlers.update(handlers)
            server.middleware_stack = None
            logging.setLogRecordFactory(records)
