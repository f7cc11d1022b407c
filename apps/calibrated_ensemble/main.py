"""The MONAI Label app: a calibrated ensemble that segments, says how sure it is, and asks for what it needs."""

import atexit
import logging
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.config import settings as server_settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.exception import ImageNotFoundException, MONAILabelError, MONAILabelException
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

# The server makes an empty folder `lib` beside this file and puts that first; a package found anywhere on
# the path wins over such a folder, one found by an import hook (an editable install) does not. `lib` itself is
# not imported here: the server's /reload would give this file another copy of it than all other modules have.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from apps.calibrated_ensemble.annotator import annotator_of
from apps.calibrated_ensemble.datastores.open_studies import open_studies
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.log_lines import write_log_in_lines
from apps.calibrated_ensemble.monai_tasks.background_processes import (
    mark_as_server,
    one_line_failure,
    runs_in_background,
)
from apps.calibrated_ensemble.monai_tasks.batch_inference import BatchInference
from apps.calibrated_ensemble.monai_tasks.heatmap_infer import HeatmapInfer
from apps.calibrated_ensemble.monai_tasks.label_expectation import doubts_about
from apps.calibrated_ensemble.monai_tasks.prediction_cache import PredictionCache
from apps.calibrated_ensemble.monai_tasks.scoring_method import ESTIMATED_DSC, EstimatedDscScoring
from apps.calibrated_ensemble.monai_tasks.segmentation_infer import SegmentationInfer
from apps.calibrated_ensemble.monai_tasks.strategies import NextScan, NothingLeftError
from apps.calibrated_ensemble.monai_tasks.trainers import make_trainers
from apps.calibrated_ensemble.project import Project
from apps.calibrated_ensemble.routes.add_routes import add_routes
from apps.calibrated_ensemble.settings import export_pacs_filter, pacs_filter, read_app_settings
from lib.datasets.label_tags import FINAL
from lib.errors import InputError, UnreachableError
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
        InputError: a wrong setting or task.
        StorageError: the workspace or its database cannot be used.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]):
        write_log_in_lines()
        self._project = Project.open(read_app_settings(conf), studies)
        atexit.register(self._project.close)
        task = self._project.task
        self._predictions = PredictionCache(self._project.workspace, device=self._project.device)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf,
            name=f"Calibrated ensemble: {task.name}",
            description="Segmentation with calibrated probabilities; serves the least certain scan next",
            labels=list(task.classes),
        )
        # Scores are made when a generation is published and when the server starts; the stock app starts a
        # scoring process for every scan it serves.
        self._auto_update_scoring = False

    def init_datastore(self) -> Datastore:
        """Give the datastore of a folder, or of a PACS for a URL."""
        self._opened = open_studies(self._project, is_server=not runs_in_background())
        self._register = ScanRegister(self._opened.scans, self._project.engine)
        return self._opened.datastore

    def init_infers(self) -> dict[str, InferTask]:
        """Give the infer models; the segmentation first, since viewers choose the first."""
        return {
            MODEL: SegmentationInfer(self._project.task, self._predictions),
            HEATMAP: HeatmapInfer(self._project.task, self._predictions),
        }

    def init_trainers(self) -> dict[str, TrainTask]:
        """Give one trainer per loss weight and one for all."""
        return make_trainers(self._project, self._opened.scans)

    def init_strategies(self) -> dict[str, Strategy]:
        """Give the strategies; least certain first, since viewers choose the first."""
        return {name: NextScan(name, self._project, self._register) for name in STRATEGIES}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """Give the one scoring method."""
        return {ESTIMATED_DSC: EstimatedDscScoring(self._project, self._opened.scans)}

    def init_batch_infer(self) -> BatchInference:
        """Give the batch inference."""
        return BatchInference()

    def server_mode(self, mode: bool) -> None:
        """Become the server, with the viewer; it takes its background processes along when it ends."""
        super().server_mode(mode)
        if mode:
            self._server = mark_as_server()
            export_pacs_filter(pacs_filter(server_settings))
            add_routes(self, self._project, self._opened, self._register)

    def on_init_complete(self) -> None:
        """Score what a killed run left unscored, and scans that are new, unless told not to."""
        super().on_init_complete()
        try:
            self._register.synchronise()
        except UnreachableError as error:
            logger.warning("%s; scans are listed as soon as it answers", error)
            return
        if server_settings.MONAI_LABEL_AUTO_UPDATE_SCORING and self._project.workspace.current() is not None:
            self.async_scoring(ESTIMATED_DSC)

    def info(self) -> dict[str, Any]:
        """Give what `/info/` answers, with the current `generation` (None before the first) and `refused_labels`."""
        count, size = self._opened.submission.refused.count()
        return {
            **super().info(),
            "generation": self._project.workspace.current(),
            "refused_labels": {"count": count, "bytes": size},
        }

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Predict one scan of the datastore, with its region mask when there is one.

        Args:
            request: `model`, `image` (the scan's name, never a path), wishes of the model, and `save_label` with
                `label_tag` to store the result.
            datastore: that of the app by default.

        Raises:
            ImageNotFoundException: there is no such scan.
            MONAILabelException: there is no such model.
            ProductError: see `apps.calibrated_ensemble.monai_tasks.prediction_cache.PredictionCache.predict`.
        """
        name, store = request.get("image"), datastore or self.datastore()
        if not isinstance(name, str) or not name:
            raise InputError("image: give the name of a scan")
        task = self._infer_task(request)
        image = store.get_image_uri(name)
        if not image:
            raise ImageNotFoundException(f"{name}: no such scan in the studies; ask for one that `/datastore/` lists")
        mask = self._opened.scans.region(name)
        file, params = task({**request, "image": image, "region": str(mask) if mask else None})
        label = file
        if request.get("save_label"):
            known = {"model": request["model"], "params": params}
            label = store.save_label(name, file, request.get("label_tag") or DefaultLabelTag.ORIGINAL, known)
        return {"label": label, "tag": DefaultLabelTag.ORIGINAL, "file": file, "params": params}

    def infer_sent(self, request: dict[str, Any], image: Path) -> dict[str, Any]:
        """Predict a file, or a folder of a DICOM series, that came with a request; nothing is stored.

        Raises:
            MONAILabelException: there is no such model.
            ProductError: as `infer`.
        """
        file, params = self._infer_task(request)({**request, "image": str(image), "region": None})
        return {"label": file, "tag": DefaultLabelTag.ORIGINAL, "file": file, "params": params}

    def batch_infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Predict many scans."""
        with self._failures():
            return super().batch_infer(request, datastore)

    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a trainer."""
        with self._failures():
            return super().train(request)

    def scoring(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Run the scoring method."""
        with self._failures():
            return super().scoring(request, datastore)

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """Serve the next scan, by its name alone: where its file lies is no client's business.

        Raises:
            HTTPException: 404 when nothing is left. An empty answer would be simpler, but leads OHIF to
                a black page; the `detail` holds a message and the counts.
        """
        try:
            sample = super().next_sample(request)
        except NothingLeftError as error:
            raise HTTPException(404, {"message": str(error), **error.counts}) from error
        return {key: value for key, value in sample.items() if key != "path"}

    def on_save_label(self, image_id: str, label_id: str, tag: str = FINAL) -> dict[str, Any]:
        """Take note of a label that was stored; a final one ends the scan's lease.

        Returns:
            For a final label `warnings` for the annotator, `places` of those that have one, `voxels` per class and
            `label_version`, which the client is sent.
        """
        store = self._opened.datastore
        if tag != FINAL or not store.get_label_by_image_id(image_id, FINAL):
            return {}
        info = store.get_label_info(label_id, FINAL)
        review = info.get("review") or {}
        mask, label = self._opened.scans.region(image_id), Path(store.get_label_uri(label_id, FINAL))
        doubts = doubts_about(
            image_id,
            label,
            Path(store.get_image_uri(image_id)),
            mask,
            predictions=self._predictions,
            engine=self._project.engine,
        )
        warnings = [*review.get("warnings", []), *(doubt["message"] for doubt in doubts)]
        self._opened.submission.accept(image_id, client=annotator_of(info), warnings=warnings)
        self._register.note_labelled(image_id)
        return {
            **review,
            "warnings": warnings,
            "places": [*doubts, *review.get("places", [])],
            "label_version": info["label_version"],
        }

    def _infer_task(self, request: dict[str, Any]) -> InferTask:
        task = self._infers.get(request["model"])
        if task is None:
            models = ", ".join(self._infers)
            raise MONAILabelException(
                MONAILabelError.INVALID_INPUT, f"{request['model']}: no such model; give {models}"
            )
        return task

    def _failures(self) -> AbstractContextManager[None]:
        """How errors are told: by the server's answer, or in the last line of a background process's log."""
        return nullcontext() if self._server_mode else one_line_failure()
