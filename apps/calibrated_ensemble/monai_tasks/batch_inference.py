"""Predictions of many scans at once, over `/batch/infer/{model}`."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.exception import MONAILabelException
from monailabel.interfaces.tasks.batch_infer import BatchInferTask

from apps.calibrated_ensemble.http_errors import message_of
from lib.datasets.scan_failures import scan_failure
from lib.errors import ProductError

logger = logging.getLogger(__name__)


class BatchInference(BatchInferTask):
    """MONAI Label's batch inference, on machines without a GPU too and past a broken scan."""

    def __call__(self, request: dict[str, Any], datastore: Datastore, infer: Callable[..., Any]) -> dict[str, Any]:
        """Predict the scans and store each result under the request's tag.

        Args:
            request: as MONAI Label's own: `model`, `images`, `label_tag`, `max_batch_size`.
            datastore: where scans come from and results go.
            infer: predicts one scan.

        Returns:
            Scan name to answer; `{"error": reason}` for a scan that could not be predicted.
        """

        def infer_or_explain(one: dict[str, Any], store: Datastore) -> dict[str, Any]:
            try:
                return infer(one, store)
            except Exception as error:  # whatever one scan raises must not stop the rest
                foreseen = isinstance(error, ProductError | MONAILabelException)
                reason = message_of(error) if foreseen else scan_failure(error, str(one.get("image")))
                logger.warning("%s: %s", one.get("image"), reason)
                return {"error": reason}

        if torch.cuda.device_count() == 0:
            # The stock task divides by the number of GPUs, and its default asks for all of them.
            request = {**request, "multi_gpu": False, "device": "cpu"}
        return super().__call__(request, datastore, infer_or_explain)
