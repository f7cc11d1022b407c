"""What is asked of a PACS, over DICOMweb: lists of series and segmentations, their files, and storing."""

import hashlib
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import requests
from dicomweb_client.session_utils import create_session_from_gcp_credentials, create_session_from_user_pass
from monailabel.config import settings as server_settings
from monailabel.datastore.dicom import DICOMwebClientX
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from lib.dicom.deflated import check_unpacked_size
from lib.errors import InputError, ProductError, UnreachableError
from lib.storage.disk import writing_to

logger = logging.getLogger(__name__)

SearchFilter = Mapping[str, str | Sequence[str]]
"""DICOM keyword to value, or to several of which one must match, such as `{"Modality": ["CT", "MR"]}`."""

_PAGE = 5000
_TIMEOUT = (10.0, 120.0)
"""Seconds to connect, and to wait for the next bytes."""

_SERIES_FIELDS = ("SeriesDescription", "NumberOfSeriesRelatedInstances")
_SEGMENTATION_FIELDS = ("ContentDate", "ContentTime")


@dataclass(frozen=True)
class Series:
    """A series of images.

    Attributes:
        uid: SeriesInstanceUID, which is the name of the scan.
        study: StudyInstanceUID.
        modality: such as CT or MR.
        patient: stands for the PatientID without telling it; equal for all series of a patient.
        date: StudyDate, "" when unknown.
        description: SeriesDescription, "" when unknown.
        instances: number of instances; None when the PACS does not tell.
    """

    uid: str
    study: str
    modality: str
    patient: str
    date: str
    description: str
    instances: int | None


@dataclass(frozen=True)
class StoredSegmentation:
    """A segmentation object in the PACS.

    Attributes:
        uid: SOPInstanceUID.
        series: SeriesInstanceUID.
        study: StudyInstanceUID.
        content: ContentDate and ContentTime in one, which sorts by time; "" when unknown.
    """

    uid: str
    series: str
    study: str
    content: str


class PacsClient:
    """Talks to one DICOMweb server, with MONAI Label's settings for credentials and prefixes.

    Args:
        url: root of the DICOMweb services.
        search_filter: which series are scans.
    """

    def __init__(self, url: str, search_filter: SearchFilter):
        self.url = url
        self._filter = search_filter
        self._client = _BoundedClient(
            url=url,
            session=_session(url),
            qido_url_prefix=server_settings.MONAI_LABEL_QIDO_PREFIX,
            wado_url_prefix=server_settings.MONAI_LABEL_WADO_PREFIX,
            stow_url_prefix=server_settings.MONAI_LABEL_STOW_PREFIX,
        )
        # Its own way to try again takes half a minute, in which the annotator is told nothing.
        self._client.set_http_retry_params(retry=False)

    def series(self) -> list[Series]:
        """List the series that are scans, with one query for each combination of the filter's values.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: it refuses the query.
        """
        found: dict[str, Series] = {}
        for filters in _combinations(self._filter):
            for entry in self._search("series", filters, _SERIES_FIELDS):
                series = _parse_series(entry)
                found[series.uid] = series
        return list(found.values())

    def segmentations(self) -> list[StoredSegmentation]:
        """List the segmentation objects, with one query.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: it refuses the query.
        """
        return [
            _parse_segmentation(entry) for entry in self._search("instances", {"Modality": "SEG"}, _SEGMENTATION_FIELDS)
        ]

    def headers(self, series: Series) -> list[Dataset]:
        """Give the attributes of all instances of a series, without their pixels.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: it does not have the series.
        """
        with self._as_product_errors(f"series {series.uid}"):
            entries = self._client.retrieve_series_metadata(series.study, series.uid)
            return [Dataset.from_json(entry) for entry in entries]

    def segmentation_header(self, stored: StoredSegmentation) -> Dataset:
        """Give the attributes of a segmentation object, without its pixels.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: it does not have the object.
        """
        with self._as_product_errors(f"segmentation {stored.uid}"):
            entries = self._client.retrieve_instance_metadata(stored.study, stored.series, stored.uid)
            # Some servers answer with a list of one, whatever the standard says of instances.
            return Dataset.from_json(entries[0] if isinstance(entries, list) else entries)

    def segmentation(self, stored: StoredSegmentation) -> Dataset:
        """Give a whole segmentation object.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: it does not have the object.
        """
        with self._as_product_errors(f"segmentation {stored.uid}"):
            return self._client.retrieve_instance(stored.study, stored.series, stored.uid)

    def download(self, series: Series, folder: Path) -> list[Path]:
        """Write the instances of a series into a folder, one file each.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: it does not have the series.
            StorageError: the folder cannot be written to.
        """
        files = []
        with self._as_product_errors(f"series {series.uid}"):
            for number, instance in enumerate(self._client.iter_series(series.study, series.uid)):
                path = folder / f"{number:05d}.dcm"
                with writing_to(path):
                    instance.save_as(path, write_like_original=False)
                files.append(path)
        if not files:
            raise InputError(f"series {series.uid}: {self.url} has no instances of it; is it still being sent?")
        return files

    def store(self, dataset: Dataset) -> None:
        """Store an object.

        Raises:
            UnreachableError: the PACS does not answer.
            InputError: it refuses the object.
        """
        if not getattr(dataset, "preamble", None):
            # Without one the client sends no DICOM file, which Orthanc takes and nobody can read back.
            dataset.preamble = bytes(128)
        with self._as_product_errors(f"object {dataset.SOPInstanceUID}"):
            answer = self._client.store_instances([dataset])
        failed = answer.get("FailedSOPSequence")
        if failed:
            reason = f"0x{int(failed[0].get('FailureReason', 0)):04X}"
            raise InputError(
                f"{self.url}: refuses to store object {dataset.SOPInstanceUID} (failure reason {reason}); "
                "the PACS must accept this kind of object from this server"
            )

    def _search(self, level: str, filters: Mapping[str, str], fields: Sequence[str]) -> list[dict[str, Any]]:
        search = self._client.search_for_series if level == "series" else self._client.search_for_instances
        found: list[dict[str, Any]] = []
        with self._as_product_errors(f"query of {level}"):
            while True:
                page = search(search_filters=dict(filters), fields=list(fields), limit=_PAGE, offset=len(found))
                found += page
                # A server's own limit is a round number; any other count is all there is.
                if not page or (len(page) < _PAGE and len(page) % 100):
                    return found

    @contextmanager
    def _as_product_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in (401, 403):
                raise InputError(
                    f"{self.url}: refuses access (HTTP {status}); set MONAI_LABEL_DICOMWEB_USERNAME and _PASSWORD"
                ) from error
            if status >= 500:
                raise UnreachableError(f"{self.url}: fails at {what} (HTTP {status}); look at its log") from error
            raise InputError(f"{self.url}: refuses {what} (HTTP {status}); is the URL the root of DICOMweb?") from error
        except (requests.RequestException, ConnectionError, TimeoutError) as error:
            raise UnreachableError(
                f"{self.url}: the PACS does not answer ({type(error).__name__}); check that it runs and can be reached"
            ) from error
        except ProductError:
            raise
        except (ValueError, InvalidDicomError) as error:
            raise InputError(
                f"{self.url}: answers {what} with no DICOM ({error}); is the URL the root of DICOMweb?"
            ) from error


class _BoundedClient(DICOMwebClientX):
    """Takes no object that unpacks without end."""

    def _decode_multipart_message(self, response: requests.Response, stream: bool) -> Iterator[bytes]:
        for part in super()._decode_multipart_message(response, stream):
            check_unpacked_size(part)
            yield part


class _RetryingAdapter(HTTPAdapter):
    """Waits for a limited time, and asks again when the connection was dropped, as Orthanc does with idle ones.

    That is safe for storing as well: the same object twice is one object.
    """

    def __init__(self) -> None:
        super().__init__(max_retries=Retry(total=3, backoff_factor=0.1, allowed_methods=None))

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        options["timeout"] = options.get("timeout") or _TIMEOUT
        return super().send(request, *args, **options)


def _session(url: str) -> requests.Session:
    if "googleapis.com" in url:
        session = create_session_from_gcp_credentials()
    elif server_settings.MONAI_LABEL_DICOMWEB_USERNAME and server_settings.MONAI_LABEL_DICOMWEB_PASSWORD:
        session = create_session_from_user_pass(
            server_settings.MONAI_LABEL_DICOMWEB_USERNAME, server_settings.MONAI_LABEL_DICOMWEB_PASSWORD
        )
    else:
        session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _RetryingAdapter())
    return session


def _combinations(search_filter: SearchFilter) -> list[dict[str, str]]:
    values = [[value] if isinstance(value, str) else list(value) for value in search_filter.values()]
    return [dict(zip(search_filter, chosen, strict=True)) for chosen in itertools.product(*values)]


def _parse_series(entry: dict[str, Any]) -> Series:
    uid, instances = _first_value(entry, "SeriesInstanceUID"), _first_value(entry, "NumberOfSeriesRelatedInstances")
    return Series(
        uid=uid,
        study=_first_value(entry, "StudyInstanceUID"),
        modality=_first_value(entry, "Modality"),
        patient=_pseudonym(_first_value(entry, "PatientID") or uid),
        date=_first_value(entry, "StudyDate"),
        description=_first_value(entry, "SeriesDescription"),
        instances=int(instances) if instances else None,
    )


def _parse_segmentation(entry: dict[str, Any]) -> StoredSegmentation:
    return StoredSegmentation(
        uid=_first_value(entry, "SOPInstanceUID"),
        series=_first_value(entry, "SeriesInstanceUID"),
        study=_first_value(entry, "StudyInstanceUID"),
        content=_sortable_time(_first_value(entry, "ContentDate"), _first_value(entry, "ContentTime")),
    )


@cache
def _tag(keyword: str) -> str:
    return f"{tag_for_keyword(keyword):08X}"


def _first_value(entry: dict[str, Any], keyword: str) -> str:
    """First value of an attribute in DICOM JSON, "" without one; for lists, building datasets takes too long."""
    values = entry.get(_tag(keyword), {}).get("Value") or [""]
    return "" if values[0] is None else str(values[0])


def content_time(header: Dataset) -> str:
    """ContentDate and ContentTime of an object as digits that sort by time; "" without a date."""
    return _sortable_time(str(header.get("ContentDate") or ""), str(header.get("ContentTime") or ""))


def _sortable_time(date: str, time: str) -> str:
    return date + time.replace(".", "").ljust(12, "0") if date else ""


def _pseudonym(patient_id: str) -> str:
    return "patient-" + hashlib.blake2b(patient_id.encode(), digest_size=8).hexdigest()
