"""The MONAI Label app: a calibrated ensemble that segments, says how sure it is, and asks for what it needs."""

import logging
import sys
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.config import settings as server_settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.exception import ImageNotFoundException
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

# The server makes an empty folder `lib` beside this file and puts that first; a package found anywhere on
# the path wins over such a folder, one found by an import hook (an editable install) does not. `lib` itself is
# not imported here: the server's /reload would give this file another copy of it than all other modules have.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from apps.calibrated_ensemble.datastores.label_submission import LabelSubmission
from apps.calibrated_ensemble.datastores.pacs_studies import PacsStudies
from apps.calibrated_ensemble.datastores.studies_folder import StudiesFolder
from apps.calibrated_ensemble.http_errors import WRONG_INPUT, clear_answers, one_line_failure
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.jobs.scan_source import region_mask
from apps.calibrated_ensemble.monai_tasks.background_processes import become_server, end_with_server, runs_in_background
from apps.calibrated_ensemble.monai_tasks.batch_inference import BatchInference
from apps.calibrated_ensemble.monai_tasks.heatmap_infer import HeatmapInfer
from apps.calibrated_ensemble.monai_tasks.prediction_cache import Predictor
from apps.calibrated_ensemble.monai_tasks.scoring_method import ESTIMATED_DSC, EstimatedDscScoring
from apps.calibrated_ensemble.monai_tasks.segmentation_infer import SegmentationInfer
from apps.calibrated_ensemble.monai_tasks.strategies import NextScan
from apps.calibrated_ensemble.monai_tasks.trainers import make_trainers
from apps.calibrated_ensemble.routes.add_routes import add_routes
from apps.calibrated_ensemble.settings import (
    hand_on_pacs_filter,
    is_url,
    open_workspace,
    pacs_filter,
    read_app_settings,
)
from apps.calibrated_ensemble.tasks.task_files import task_by_name_or_path
from lib.datasets.studies_folder import FINAL
from lib.errors import UnreachableError
from scoring.database.engine import open_database
from scoring.strategies.registry import STRATEGIES

logger = logging.getLogger(__name__)

MODEL = "calibrated_ensemble"
HEATMAP = "heatmap"


class CalibratedEnsembleApp(MONAILabelApp):
    """Wires the tasks; MONAI Label finds it as the class whose direct base is `MONAILabelApp`.

    Args:
        app_dir: this folder.
        studies: folder of scans, or URL of a DICOMweb server.
        conf: see `AppSettings`.

    Raises:
        InputError: a wrong setting or task, or a workspace that cannot be used.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]):
        if runs_in_background():
            end_with_server()
        self._settings = read_app_settings(conf)
        self._task = task_by_name_or_path(self._settings.task, preset=self._settings.preset)
        self._workspace = open_workspace(self._settings, studies)
        self._engine = open_database(self._settings.database_url or self._workspace.database_path)
        self._submission = LabelSubmission(self._task, self._engine, self._workspace.root / "refused_labels")
        self._predictor = Predictor(self._workspace, device=self._settings.device)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf,
            name=f"Calibrated ensemble: {self._task.name}",
            description="Segmentation with calibrated probabilities; serves the least certain scan next",
            labels=list(self._task.classes),
        )
        # Scores are made when a generation is published and when the server starts; the stock app starts a
        # scoring process for every scan it serves.
        self._auto_update_scoring = False

    def init_datastore(self) -> Datastore:
        """Give the datastore of a folder, or of a PACS for a URL."""
        datastore = self._pacs() if is_url(self.studies) else self._folder()
        self._register = ScanRegister(datastore, self._engine)
        return datastore

    def init_infers(self) -> dict[str, InferTask]:
        """Give the infer models; the segmentation first, since viewers choose the first."""
        return {
            MODEL: SegmentationInfer(self._task, self._predictor),
            HEATMAP: HeatmapInfer(self._task, self._predictor),
        }

    def init_trainers(self) -> dict[str, TrainTask]:
        """Give one trainer per loss weight and one for all."""
        return make_trainers(
            self._task,
            workspace=self._workspace,
            engine=self._engine,
            device=self._settings.device,
            store_heatmaps=self._settings.store_heatmaps,
        )

    def init_strategies(self) -> dict[str, Strategy]:
        """Give the strategies; least certain first, since viewers choose the first."""
        return {
            name: NextScan(
                name,
                workspace=self._workspace,
                engine=self._engine,
                register=self._register,
                lease_seconds=60 * self._settings.lease_minutes,
                seed=self._task.seed,
            )
            for name in STRATEGIES
        }

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """Give the one scoring method."""
        return {
            ESTIMATED_DSC: EstimatedDscScoring(
                task=self._task,
                workspace=self._workspace,
                engine=self._engine,
                device=self._settings.device,
                store_heatmaps=self._settings.store_heatmaps,
            )
        }

    def init_batch_infer(self) -> BatchInference:
        """Give the batch inference."""
        return BatchInference()

    def server_mode(self, mode: bool) -> None:
        """Become the server, with the viewer; it takes its background processes along when it ends."""
        super().server_mode(mode)
        if mode:
            self._server = become_server()
            hand_on_pacs_filter(pacs_filter(server_settings))
            add_routes(
                self._settings,
                datastore=self._datastore,
                register=self._register,
                workspace=self._workspace,
                engine=self._engine,
            )

    def on_init_complete(self) -> None:
        """Score what a killed run left unscored, and scans that are new, unless told not to."""
        super().on_init_complete()
        try:
            self._register.synchronise()
        except UnreachableError as error:
            logger.warning("%s; scans are listed as soon as it answers", error)
            return
        if server_settings.MONAI_LABEL_AUTO_UPDATE_SCORING and self._workspace.current() is not None:
            self.async_scoring(ESTIMATED_DSC)

    def info(self) -> dict[str, Any]:
        """Give what `/info/` answers, with the id of the current `generation` (None before the first)."""
        return {**super().info(), "generation": self._workspace.current()}

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Predict one scan: a name in the datastore, a file, or a folder of a DICOM series.

        Raises:
            HTTPException: see `clear_answers`.
        """
        with clear_answers():
            request = self._with_files(request, datastore or self.datastore())
            return super().infer(request, datastore)

    def batch_infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Predict many scans."""
        with self._answers():
            return super().batch_infer(request, datastore)

    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a trainer."""
        with self._answers():
            return super().train(request)

    def scoring(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Run the scoring method."""
        with self._answers():
            return super().scoring(request, datastore)

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """Serve the next scan.

        Raises:
            HTTPException: 404 when nothing is left, and see `clear_answers`.
        """
        with clear_answers():
            return super().next_sample(request)

    def on_save_label(self, image_id: str, label_id: str) -> dict[str, Any]:
        """Take note of a label that was stored; a final one ends the scan's lease.

        Returns:
            `warnings` for the annotator and `voxels` per class, which the client is sent.
        """
        with clear_answers():
            if not self._datastore.get_label_by_image_id(image_id, FINAL):
                return {}
            info = self._datastore.get_label_info(label_id, FINAL)
            review = info.get("review") or {}
            warnings = review.get("warnings", [])
            self._submission.accept(image_id, client=info.get("client_id") or info.get("user"), warnings=warnings)
            self._register.note_labelled(image_id)
            return review

    def _pacs(self) -> PacsStudies:
        return PacsStudies(
            self.studies.rstrip("/"),
            pacs_filter(server_settings),
            folder=self._workspace.root / "pacs",
            task=self._task,
            submission=self._submission,
            refresh_seconds=self._settings.pacs_refresh_seconds,
            retry_unreadable=not runs_in_background(),
        )

    def _folder(self) -> StudiesFolder:
        return StudiesFolder(
            self.studies,
            review=self._submission.review,
            auto_reload=server_settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD and not runs_in_background(),
            read_only=server_settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )

    def _with_files(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Check that the scan is there, and name its region mask when the datastore has one."""
        image = request.get("image")
        if not isinstance(image, str) or not image:
            raise HTTPException(WRONG_INPUT, "image: give the name of a scan, or a file or folder on the server")
        if Path(image).exists():
            return request
        if not datastore.get_image_uri(image):
            raise ImageNotFoundException(f"{image}: no such scan in the studies; ask for one that `/datastore/` lists")
        mask = region_mask(datastore, self._task, image)
        return {**request, "region": str(mask)} if mask else request

    def _answers(self) -> Any:
        """How errors are told: over HTTP in the server, in the last line of the log elsewhere."""
        if self._server_mode:
            return clear_answers()
        return one_line_failure()
