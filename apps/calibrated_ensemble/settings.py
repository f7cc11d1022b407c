"""Settings of the app: `--conf key value` of the server, else environment variables, else defaults."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from monailabel.config import Settings
from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lib.errors import InputError, StorageError
from lib.models.workspace import Workspace

ENVIRONMENT_PREFIX = "CALIBRATED_ENSEMBLE_"
WORKSPACE_NAME = ".calibrated_ensemble"
"""Default workspace inside a folder of studies; MONAI Label lists neither hidden files nor folders as scans."""

DEFAULT_PACS_FILTER = {"Modality": ["CT", "MR"]}
_PACS_FILTER = "MONAI_LABEL_DICOMWEB_SEARCH_FILTER"

STOCK_ROUTES = ("logs", "proxy", "session", "upload")
"""Routes of MONAI Label that are off unless `stock_routes` names them."""

_HOST_NAME = re.compile(r"(\*\.)?[A-Za-z0-9._-]+")
_ORIGIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?")

# MONAI Label itself reads this key from the same pairs.
_OWNED_BY_MONAI_LABEL = frozenset({"server_mode"})


def _of_stock_routes(value: str) -> str:
    unknown = stock_routes(value) - set(STOCK_ROUTES)
    if unknown:
        raise ValueError(f"{sorted(unknown)[0]} is none of {', '.join(STOCK_ROUTES)}; part several by commas")
    return value


def _parts(text: str) -> list[str]:
    return list(filter(None, map(str.strip, text.split(","))))


def _origins(text: str) -> str:
    for origin in _parts(text):
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is no origin; give such as https://ohif.example:3000, parted by commas")
    return text


def _host_names(text: str) -> str:
    for name in _parts(text):
        if not _HOST_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a host; give names without port or path, parted by commas")
    return text


class AppSettings(BaseSettings):
    """What `--conf` may set; each key is also read from `CALIBRATED_ENSEMBLE_<KEY>`."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    task: str = "hippocampus"
    """Name of a task that comes with the app, or path of a task file."""
    preset: Literal["paper", "small", "demo"] | None = None
    """Takes the place of the task's preset."""
    workspace: Path | None = None
    """Where generations, scores and refused labels live; see `workspace_folder` for the default."""
    database_url: str | None = None
    """SQLAlchemy URL of the database; by default a SQLite file in the workspace."""
    lease_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 120.0
    """For how long a scan that was served is kept from other annotators."""
    device: str = "auto"
    """Where networks run: auto, cpu, cuda or cuda:1."""
    pacs_refresh_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 10.0
    """For how long the list of a PACS's scans and labels is good; labels submitted here are known at once."""
    store_heatmaps: bool = False
    """Store the heatmap of each scan that is scored in the PACS, as a DICOM Parametric Map."""
    viewer_folder: Path | None = None
    """Where `viewer install` put OHIF; the cache folder of the user by default."""
    stock_routes: Annotated[str, AfterValidator(_of_stock_routes)] = ""
    """Routes of MONAI Label that are switched on: some of `STOCK_ROUTES`, parted by commas."""
    allowed_hosts: Annotated[str, AfterValidator(_host_names)] = ""
    """More names of the server, parted by commas; `*.example.org` is every name below."""
    allowed_origins: Annotated[str, AfterValidator(_origins)] = ""
    """Other servers whose pages may read and write here, parted by commas. MONAI Label's own setting for this,
    `MONAI_LABEL_CORS_ORIGINS`, ends its start with a traceback."""

    @property
    def known_hosts(self) -> list[str]:
        """Names in `allowed_hosts`, one by one."""
        return _parts(self.allowed_hosts)

    @property
    def known_origins(self) -> list[str]:
        """Origins in `allowed_origins`, one by one."""
        return _parts(self.allowed_origins)


def read_app_settings(conf: Mapping[str, Any]) -> AppSettings:
    """Read the settings from `--conf` pairs, with the environment for what they do not set.

    Args:
        conf: key to value, as MONAI Label gives them to the app.

    Raises:
        InputError: an unknown key or a wrong value; the message names both and says what is right.
    """
    given = {key: value for key, value in conf.items() if key not in _OWNED_BY_MONAI_LABEL}
    try:
        return AppSettings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(AppSettings.model_fields))
            raise InputError(f"--conf {key}: unknown setting; known are {known}") from error
        where = f"--conf {key}" if key in given else f"{ENVIRONMENT_PREFIX}{key.upper()}"
        raise InputError(f"{where}: is {first['input']!r}; {first['msg']}") from error


def stock_routes(value: str) -> frozenset[str]:
    """Names in the setting `stock_routes`."""
    return frozenset(_parts(value))


def is_url(studies: str) -> bool:
    """Whether studies are a DICOMweb server's and not a folder."""
    return studies.startswith(("http://", "https://"))


def pacs_filter(server_settings: Settings) -> Mapping[str, str | Sequence[str]]:
    """Which series of a PACS are scans: CT and MR, unless `MONAI_LABEL_DICOMWEB_SEARCH_FILTER` is set.

    Args:
        server_settings: MONAI Label's.

    Raises:
        InputError: the setting is no DICOM keyword with its value or values.
    """
    # Its own default is CT alone, so that only a filter that was set counts.
    if _PACS_FILTER not in server_settings.model_fields_set:
        return DEFAULT_PACS_FILTER
    given = server_settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER
    for keyword, value in given.items():
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not values or not all(isinstance(one, str) for one in values):
            raise InputError(
                f"{_PACS_FILTER}: {keyword} is {value!r}; give one text or a list of texts, "
                'such as {"Modality": ["CT", "MR"]}'
            )
    return given


def export_pacs_filter(search_filter: Mapping[str, str | Sequence[str]]) -> None:
    """Have the background processes that this process starts list the same scans as it does.

    MONAI Label hands all its settings to them, where its own default looks like a filter that was set.
    """
    os.environ[_PACS_FILTER] = json.dumps(search_filter)


def workspace_folder(settings: AppSettings, studies: str) -> Path:
    """Give the workspace of a folder or server of studies.

    By default it is the hidden folder `.calibrated_ensemble` inside a folder of studies, so that
    it moves with them and every command finds it, and `~/.calibrated_ensemble/<server>` for a URL.

    Args:
        settings: its `workspace` wins when set.
        studies: folder, or URL of a DICOMweb server.
    """
    if settings.workspace is not None:
        return settings.workspace.expanduser().absolute()
    if is_url(studies):
        server = re.sub(r"[^A-Za-z0-9.-]+", "_", studies.split("://", 1)[1]).strip("_")
        return Path.home() / WORKSPACE_NAME / server
    return Path(studies).expanduser().absolute() / WORKSPACE_NAME


def open_workspace(settings: AppSettings, studies: str) -> Workspace:
    """Give the workspace, whose folder is made when it is missing.

    Raises:
        StorageError: the folder cannot be made.
    """
    folder = workspace_folder(settings, studies)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be made ({error.strerror}); give another folder as `workspace`, "
            "which is where models and scores are kept"
        ) from error
    return Workspace(folder)
