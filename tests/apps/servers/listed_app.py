"""MONAI Label's application, which says besides which routes it has once it has started."""

from fastapi.routing import iter_route_contexts
from monailabel.app import app

LIST = "/every-route"


@app.get(LIST, include_in_schema=False)
def every_route() -> list[tuple[str, list[str]]]:
    """Path and methods of each route; a folder of files counts as one, asked by GET."""
    found = [(route.path or "", sorted(route.methods or {"GET"})) for route in iter_route_contexts(app.routes)]
    return [(path, methods) for path, methods in found if path != LIST]
