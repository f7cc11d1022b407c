"""Routes of MONAI Label that are off: neither our viewer nor 3D Slicer needs them to annotate the scans of a server."""

from collections.abc import Callable, Collection

from fastapi import APIRouter, Depends, HTTPException
from monailabel.config import settings as server_settings
from monailabel.endpoints.user.auth import RBAC

_EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH")

# Whole-slide images and files of weights are nothing that this app has; the others are asked for by name.
_NEVER = ("/infer/wsi/{rest:path}", "/infer/wsi_v2/{rest:path}", "/model/{rest:path}")
_ON_DEMAND = {
    "logs": (("/logs/{rest:path}", _EVERY_METHOD),),
    "proxy": (("/proxy/{rest:path}", _EVERY_METHOD),),
    "session": (("/session/{rest:path}", _EVERY_METHOD),),
    "upload": (("/datastore/image", ("PUT",)), ("/datastore/", ("PUT",))),
}


def switched_off_router(switched_on: Collection[str]) -> APIRouter:
    """Give routes that answer 404 and say which setting helps, to be put before those of MONAI Label.

    Args:
        switched_on: names of `apps.calibrated_ensemble.settings.STOCK_ROUTES` that are left as they are.
    """
    users = [Depends(RBAC(server_settings.MONAI_LABEL_AUTH_ROLE_USER))]
    router = APIRouter(include_in_schema=False, dependencies=users)

    def never() -> None:
        raise HTTPException(404, "This server does not offer that.")

    for path in _NEVER:
        router.add_api_route(path, never, methods=[*_EVERY_METHOD])
    for name, routes in _ON_DEMAND.items():
        if name not in switched_on:
            for path, methods in routes:
                router.add_api_route(path, _off(name), methods=[*methods])
    return router


def _off(name: str) -> Callable[[], None]:
    def off() -> None:
        raise HTTPException(
            404,
            f"This is switched off; whoever runs the server can switch it on: stock_routes {name}, or a list of such",
        )

    return off
