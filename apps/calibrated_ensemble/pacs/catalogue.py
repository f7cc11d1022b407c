"""What is known of the segmentation objects in a PACS: of which series they are, and which segments they hold.

Few DICOMweb servers tell that in a query, so that the header of each object has to be fetched. It
never changes, so it is fetched once and kept in a file, which every process of the app shares.
"""

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydicom.dataset import Dataset

from apps.calibrated_ensemble.pacs.client import PacsClient, StoredSegmentation, content_time
from lib.dicom.segment_names import segment_name
from lib.dicom.segmentation_reader import LABEL_MAP_STORAGE
from lib.errors import InputError
from lib.storage.atomic import write_text

logger = logging.getLogger(__name__)

_REQUESTS_AT_ONCE = 8


class SegmentationFacts(BaseModel):
    """What the header of a segmentation object says.

    Attributes:
        scan: SeriesInstanceUID of the images that it was drawn on; "" when it does not say.
        segments: name of each segment, see `segment_name`. A description that does not serve as a name is not
            kept, since it may say anything about the patient.
        is_label_map: whether the object is a label map; see `class_value`.
        content: see `StoredSegmentation.content`.
        unreadable: why its voxels cannot be used; None while nobody has found that out.
    """

    model_config = ConfigDict(frozen=True)

    scan: str
    segments: tuple[str, ...]
    is_label_map: bool
    content: str
    unreadable: str | None = None


@dataclass(frozen=True)
class CataloguedSegmentation:
    """A segmentation object with what its header says."""

    stored: StoredSegmentation
    facts: SegmentationFacts


class _FactsOfOldLayout(BaseModel):
    """What earlier versions noted: labels of segments alone, without the description. Such objects are asked again."""

    scan: str
    segments: tuple[str, ...]
    content: str


_FILE = TypeAdapter(dict[str, SegmentationFacts])
_FILE_OF_ANY_LAYOUT = TypeAdapter(dict[str, SegmentationFacts | _FactsOfOldLayout])


class SegmentationCatalogue:
    """Remembers the facts of segmentation objects by their SOPInstanceUID.

    Args:
        path: JSON file, made when missing; a damaged one is made again.
        client: fetches what is not known yet.
    """

    def __init__(self, path: Path, client: PacsClient):
        self._path = path
        self._client = client
        self._read_at: int | None = None
        self._known: dict[str, SegmentationFacts] = {}
        self._read_file()

    def describe(self, stored: Iterable[StoredSegmentation]) -> tuple[list[CataloguedSegmentation], dict[str, str]]:
        """Give the facts of objects, and for each whose header cannot be used the reason, by its series.

        Raises:
            UnreachableError: the PACS does not answer.
        """
        listed = list(stored)
        self._read_file()
        fetched, failed = self._fetch([one for one in listed if one.uid not in self._known])
        self._add(fetched)
        return [CataloguedSegmentation(one, self._known[one.uid]) for one in listed if one.uid in self._known], failed

    def add(self, stored: StoredSegmentation, facts: SegmentationFacts) -> None:
        """Take note of an object whose facts are known, such as one just stored."""
        self._add({stored.uid: facts})

    def mark_unreadable(self, stored: StoredSegmentation, reason: str) -> None:
        """Take note that the voxels of an object cannot be used, for all processes."""
        self._add({stored.uid: self._known[stored.uid].model_copy(update={"unreadable": reason})})

    def forget_unreadable(self) -> None:
        """Let objects that could not be used be tried again."""
        self._add(
            {
                uid: facts.model_copy(update={"unreadable": None})
                for uid, facts in self._known.items()
                if facts.unreadable is not None
            }
        )

    def _fetch(self, missing: list[StoredSegmentation]) -> tuple[dict[str, SegmentationFacts], dict[str, str]]:
        def fetch(stored: StoredSegmentation) -> SegmentationFacts | InputError:
            try:
                return segmentation_facts(self._client.segmentation_header(stored))
            except InputError as error:
                return error

        if not missing:
            return {}, {}
        with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as threads:
            answers = list(zip(missing, threads.map(fetch, missing), strict=True))
        return (
            {stored.uid: answer for stored, answer in answers if isinstance(answer, SegmentationFacts)},
            {stored.series: str(answer) for stored, answer in answers if isinstance(answer, InputError)},
        )

    def _add(self, facts: Mapping[str, SegmentationFacts]) -> None:
        if not facts:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._path.with_suffix(".lock")):
            self._read_file()
            self._known |= facts
            write_text(self._path, _FILE.dump_json(self._known, indent=1).decode())

    def _read_file(self) -> None:
        """Add what another process has found out since this one last looked."""
        try:
            changed_at = self._path.stat().st_mtime_ns
            if changed_at != self._read_at:
                found = _FILE_OF_ANY_LAYOUT.validate_json(self._path.read_bytes())
                self._known |= {uid: facts for uid, facts in found.items() if isinstance(facts, SegmentationFacts)}
                self._read_at = changed_at
        except FileNotFoundError:
            return
        except ValidationError:
            logger.warning("%s: is damaged; it is made again from the PACS", self._path)


def segmentation_facts(header: Dataset) -> SegmentationFacts:
    """Gather what the header of a segmentation object says."""
    references = header.get("ReferencedSeriesSequence") or []
    segments = header.get("SegmentSequence") or []
    return SegmentationFacts(
        scan=str(references[0].get("SeriesInstanceUID", "")) if references else "",
        segments=tuple(segment_name(segment) for segment in segments),
        is_label_map=header.get("SOPClassUID") == LABEL_MAP_STORAGE,
        content=content_time(header),
    )
