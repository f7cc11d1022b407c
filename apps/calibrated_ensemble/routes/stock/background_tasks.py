"""Training, scoring and batch inference over HTTP: started by the names that `/info/` lists, watched without paths."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, HTTPException
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC
from monailabel.interfaces.tasks.batch_infer import BatchInferImageType
from monailabel.utils.async_tasks.task import AsyncTask
from pydantic import BaseModel, ConfigDict, Field

from apps.calibrated_ensemble.retraining.options import REQUEST_KEY, options_of_request
from lib.datasets.label_tags import check_tag

_TOO_MANY = 429

_USERS = Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))
_ANNOTATORS = Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))
_ADMINS = Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ADMIN))

# Clients send the settings that they were told of; training and scoring take theirs from the task alone, and
# what MONAI Label would make of others (folders to import from, environment variables) is not for clients.
_Ignored = Annotated[dict[str, Any] | None, Body()]

# A night is told when to train and what may be published, and nothing else.
_Night = Annotated[dict[str, Any] | None, Body()]


class BatchWishes(BaseModel):
    """What a client may ask of a batch inference; the rest of what it sends is left out."""

    model_config = ConfigDict(extra="ignore")

    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d{1,2})?)$")] = "cuda"
    multi_gpu: bool = True
    gpus: Annotated[str, Field(pattern=r"^(all|\d{1,2}(,\d{1,2})*)$")] = "all"
    label_tag: str = "original"
    max_workers: Annotated[int, Field(ge=0, le=64)] = 1
    max_batch_size: Annotated[int, Field(ge=0)] = 0
    logging: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"


def background_tasks_router(
    names: Callable[[], dict[str, Collection[str]]], without_folders: Callable[[str], str]
) -> APIRouter:
    """Give routes with the paths and answers of MONAI Label's, to be put before them.

    Args:
        names: names of the "train", "scoring" and "batch_infer" tasks that there are.
        without_folders: takes the folders of this machine out of a line of a task's log.
    """
    router = APIRouter(include_in_schema=False)

    def known(method: str, name: str) -> str:
        there = names()[method]
        if name not in there:
            raise HTTPException(404, f"{name}: is none of {', '.join(there)}")
        return name

    def state(method: str, every: bool, check_if_running: bool) -> Any:
        found, reason = AsyncTask.status(method, every, check_if_running)
        if found is None:
            raise HTTPException(404, reason)
        return [told(task) for task in found] if every and isinstance(found, list) else told(found)

    def told(task: dict[str, Any]) -> dict[str, Any]:
        details = task.get("details")
        return task if details is None else {**task, "details": [without_folders(line) for line in list(details)]}

    @router.get("/train/", dependencies=[_USERS])
    def training(all: bool = False, check_if_running: bool = False) -> Any:
        return state("train", all, check_if_running)

    @router.get("/scoring/", dependencies=[_USERS])
    def scoring(all: bool = False, check_if_running: bool = False) -> Any:
        return state("scoring", all, check_if_running)

    @router.get("/batch/infer", dependencies=[_USERS])
    def batch(all: bool = False, check_if_running: bool = False) -> Any:
        return state("batch_infer", all, check_if_running)

    @router.post("/train/", dependencies=[_ADMINS])
    def train_all(params: _Ignored = None, run_sync: bool = False) -> Any:  # noqa: ARG001
        return {name: _queued("train", {"model": name}, run_sync) for name in names()["train"]}

    @router.post("/scoring/", dependencies=[_ANNOTATORS])
    def score_all(params: _Ignored = None, run_sync: bool = False) -> Any:  # noqa: ARG001
        return {name: _queued("scoring", {"method": name}, run_sync) for name in names()["scoring"]}

    @router.post("/train/{model}", dependencies=[_ADMINS])
    def train(model: str, params: _Night = None, run_sync: bool = False, enqueue: bool = False) -> Any:
        request = {"model": known("train", model)}
        return _started("train", request | _night(params), run_sync, enqueue=enqueue)

    @router.post("/scoring/{method}", dependencies=[_ANNOTATORS])
    def score(method: str, params: _Ignored = None, run_sync: bool = False) -> Any:  # noqa: ARG001
        return _started("scoring", {"method": known("scoring", method)}, run_sync)

    @router.post("/batch/infer/{model}", dependencies=[_ADMINS])
    def infer_batch(
        model: str,
        images: BatchInferImageType = BatchInferImageType.IMAGES_ALL,
        params: Annotated[BatchWishes | None, Body()] = None,
        run_sync: bool = False,
    ) -> Any:
        wishes = params or BatchWishes()
        check_tag(wishes.label_tag)
        request = {"model": known("batch_infer", model), "images": images, **wishes.model_dump()}
        return _started("batch_infer", request, run_sync)

    return router


def _night(params: Mapping[str, Any] | None) -> dict[str, Any]:
    given = params or {}
    return {REQUEST_KEY: options_of_request(given[REQUEST_KEY]).to_request()} if REQUEST_KEY in given else {}


def _queued(method: str, request: dict[str, Any], run_sync: bool) -> dict[str, Any]:
    result, detail = AsyncTask.run(method, request=request, force_sync=run_sync, enqueue=True)
    return {"result": result, "detail": detail}


def _started(method: str, request: dict[str, Any], run_sync: bool, *, enqueue: bool = False) -> Any:
    result, detail = AsyncTask.run(method, request=request, force_sync=run_sync, enqueue=enqueue)
    if result is None:
        raise HTTPException(_TOO_MANY, detail)
    return result
