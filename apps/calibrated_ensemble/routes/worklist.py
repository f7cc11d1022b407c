"""The worklist of the viewer: the least certain scans, who has them, and taking one of them."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC
from pydantic import AfterValidator, BaseModel, Field

from apps.calibrated_ensemble.annotator import LONGEST_NAME
from apps.calibrated_ensemble.datastores.pacs_studies import PacsStudies
from apps.calibrated_ensemble.datastores.studies_folder import StudiesFolder
from apps.calibrated_ensemble.jobs.scan_register import ScanRegister
from apps.calibrated_ensemble.plain_text import is_one_line
from apps.calibrated_ensemble.project import Project
from scoring.worklist.leases import end_lease, lease_scan
from scoring.worklist.queue_state import queue_state
from scoring.worklist.ranking import RankedScan, ranking

HELD_BY_ANOTHER = 409


def _one_line(name: str) -> str:
    if not is_one_line(name):
        raise ValueError("give a name of one line")
    return name


class Taking(BaseModel):
    """Who takes a scan."""

    client_id: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_one_line)]


def worklist_router(project: Project, datastore: StudiesFolder | PacsStudies, register: ScanRegister) -> APIRouter:
    """Give the routes under `/worklist`.

    Args:
        project: whose current generation's scores count, and for how long a scan that was taken is kept from others.
        datastore: describes the scans.
        register: brings the database's list of scans up to date.
    """
    engine = project.engine
    annotators = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_ANNOTATOR))]
    router = APIRouter(prefix="/worklist", tags=["Worklist"], dependencies=annotators)

    def of_present_content(scan: RankedScan) -> RankedScan:
        if register.is_scored_as_it_is(scan.scan, scan.stamp):
            return scan
        return replace(scan, estimated_dsc=None, mean_estimated_dsc=None, error=None)

    @router.get("/", summary="List the unlabelled scans, least certain first")
    def worklist(client_id: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
        register.synchronise()
        generation = project.workspace.current()
        queue = queue_state(engine, generation=generation)
        ranked = ranking(engine, generation, limit=limit)
        return {
            "generation": generation,
            "counts": {**queue.counts, "total": sum(queue.counts.values())},
            "message": queue.reason,
            "scans": [
                _line(of_present_content(scan), datastore.get_image_info(scan.scan), client_id) for scan in ranked
            ],
        }

    @router.post("/lease", summary="Take a scan, or renew one's own lease")
    def take(image: str, taking: Taking) -> dict[str, Any]:
        register.synchronise()
        lease = lease_scan(engine, image, client=taking.client_id, lease_seconds=project.lease_seconds)
        if lease is None:
            raise HTTPException(404, f"{image}: is no unlabelled scan; somebody may have submitted its label just now")
        if lease.client != taking.client_id:
            holder = lease.client or "another annotator"
            raise HTTPException(
                HELD_BY_ANOTHER,
                {"message": f"{holder} has this scan", "leased_to": lease.client, "lease_expires": lease.expires},
            )
        study = datastore.get_image_info(image).get("StudyInstanceUID")
        version = datastore.label_version(image)
        return {"id": image, "study": study, "lease_expires": lease.expires, "label_version": version}

    @router.delete("/lease", summary="Give a scan back")
    def give_back(
        image: str, client_id: Annotated[str, Query(min_length=1)], expires: float | None = None
    ) -> dict[str, bool]:
        # A page that closes says which lease it means: that of a page opened anew meanwhile is to stay.
        return {"ended": end_lease(engine, image, client=client_id, expires=expires)}

    return router


def _line(scan: RankedScan, info: dict[str, Any], client_id: str) -> dict[str, Any]:
    return {
        "id": scan.scan,
        "study": info.get("StudyInstanceUID"),
        "description": info.get("SeriesDescription") or "",
        "estimated_dsc": scan.estimated_dsc,
        "mean_estimated_dsc": scan.mean_estimated_dsc,
        "leased_to": None if scan.leased_to is None else scan.leased_to or "another annotator",
        "leased_to_you": bool(client_id) and scan.leased_to == client_id,
        "lease_expires": scan.lease_expires,
        "error": scan.error,
    }
