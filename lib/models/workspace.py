"""The folder where generations, members, scores and settings live."""

import json
import logging
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path

from pydantic import BaseModel

from lib.errors import DamagedGenerationError, NotTrainedError, StorageError
from lib.models.generation import Generation, read_generation
from lib.models.generation_folder import read_manifest
from lib.models.kinds.method import Method
from lib.models.kinds.registry import KINDS
from lib.storage.atomic import remove_leftovers, write_text
from lib.storage.file_names import composed
from lib.storage.locks import exclusive_lock, waiting_lock
from lib.training.folds import assign_folds

logger = logging.getLogger(__name__)


# As `lib.models.generation_folder.generation_id` makes them, and nothing that could be another path.
_ID = re.compile(rb"[0-9A-Za-z-]{1,200}")


class _Folds(BaseModel):
    """Content of the file of the folds."""

    fold_count: int
    patients: dict[str, int]


class Workspace:
    """Where everything that the product writes is found.

    Args:
        root: folder; made when something is first written.
    """

    def __init__(self, root: str | PathLike[str]):
        self.root = Path(root)
        self.generations = self.root / "generations"
        self.members = self.root / "members"
        self.prepared_scans = self.root / "prepared_scans"
        self.out_of_fold = self.root / "out_of_fold"
        self.database_path = self.root / "database.sqlite"
        self._current = self.root / "current"
        self._folds = self.root / "folds.json"

    def current(self) -> str | None:
        """Id of the current generation, None before the first; one small file is read.

        Raises:
            DamagedGenerationError: the file names none.
            StorageError: it cannot be read.
        """
        try:
            named = self._current.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(f"{self._current}: cannot be read ({error.strerror}); make it readable") from error
        if not _ID.fullmatch(named.strip()):
            raise DamagedGenerationError(
                f"{self._current}: is damaged, it holds {named[:40]!r} and no name of a generation; train again, which "
                "takes seconds where nothing else has changed"
            )
        return named.strip().decode()

    def is_current(self, generation: Generation) -> bool:
        """Whether this generation is served; not where nobody can tell which one is."""
        try:
            return self.current() == generation.id
        except DamagedGenerationError as error:
            logger.warning("%s", error)
            return False

    def generation(self) -> Generation:
        """Give the current generation.

        Raises:
            NotTrainedError: there is none yet.
            DamagedGenerationError: its files are incomplete.
        """
        current = self.current()
        if current is None:
            raise NotTrainedError(f"{self.root}: no model is trained yet; label some scans, then train")
        return read_generation(self.generations / current)

    def baselines(self) -> dict[Method, Generation]:
        """Give the newest generation of each baseline with the labels and settings of the current generation.

        One that cannot be read, or whose networks were trained otherwise, is passed over with a warning.

        Raises:
            NotTrainedError: there is no current generation.
            DamagedGenerationError: the files of the current one are incomplete.
        """
        current = self.generation()
        found: dict[Method, Generation] = {}
        for folder in sorted(self.generations.glob("[!.]*"), reverse=True):
            try:
                manifest = read_manifest(folder)
                kind = KINDS[manifest.method]
                if not kind.is_baseline or manifest.labels_digest != current.labels_digest or kind.name in found:
                    continue
                generation = read_generation(folder)
            except DamagedGenerationError as error:
                logger.warning("Not compared: %s", error)
                continue
            if _is_trained_alike(generation, current):
                found[kind.name] = generation
            else:
                logger.warning(
                    "Not compared: %s was trained with other settings than the model; train its method again", folder
                )
        return found

    def make_current(self, generation: Generation) -> None:
        """Serve this generation from now on, in one atomic step."""
        write_text(self._current, generation.id)

    def read_folds(self, fold_count: int) -> dict[str, int]:
        """Folds that patients were given before, empty when there were none or another number of folds.

        Where the file is damaged, they are those of the newest generation with as many folds, with a warning.
        """
        try:
            stored = _Folds.model_validate_json(self._folds.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            reason = str(error).splitlines()[0]
            logger.warning(
                "%s: is damaged (%s); the folds are those of the newest generation, and patients that it does not "
                "know are given new ones",
                self._folds,
                reason,
            )
            return self._published_folds(fold_count)
        # Earlier versions kept names as the files were spelled.
        patients = {composed(patient): fold for patient, fold in stored.patients.items()}
        return patients if stored.fold_count == fold_count else {}

    def write_folds(self, patients: dict[str, int], fold_count: int) -> None:
        """Keep the folds of all patients, so that a new label never moves an old scan."""
        write_text(self._folds, json.dumps({"fold_count": fold_count, "patients": patients}, indent=1, sort_keys=True))

    def assign_folds(self, patients: Sequence[str], *, fold_count: int, seed: int) -> dict[str, int]:
        """Assign patients to folds, and keep what was assigned; see `lib.training.folds.assign_folds`.

        Returns:
            Fold of each of these patients.

        Raises:
            InputError: fewer patients than folds.
            StorageError: the file cannot be written.
        """
        previous = self.read_folds(fold_count)
        folds = assign_folds(patients, fold_count=fold_count, previous=previous, seed=seed)
        self.write_folds(previous | folds, fold_count)
        return folds

    def _published_folds(self, fold_count: int) -> dict[str, int]:
        for folder in sorted(self.generations.glob("[!.]*"), reverse=True):
            try:
                generation = read_generation(folder)
            except DamagedGenerationError as error:
                logger.warning("%s", error)
                continue
            if not generation.kind.is_baseline and generation.task.fold_count == fold_count:
                return dict(generation.fold_of_patient)
        return {}

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half-written."""
        remove_leftovers(self.root, *(path for path in self.root.glob("*") if path.is_dir()))

    def scoring_lock(self) -> AbstractContextManager[None]:
        """Wait for the right to score, so that no scan is predicted by two runs at once.

        Raises:
            StorageError: the folder cannot be written to.
        """
        return waiting_lock(self.root / "scoring.lock")

    def training_lock(self) -> AbstractContextManager[None]:
        """Hold the right to train; it ends with the process, however that ends.

        Raises:
            BusyError: another process trains in this workspace.
            StorageError: the folder cannot be written to.
        """
        return exclusive_lock(
            self.root / "training.lock",
            busy=f"{self.root}: another training is running here; wait for it to end or stop it, then train again",
        )


def _is_trained_alike(baseline: Generation, current: Generation) -> bool:
    """Whether networks differ in nothing but what sets the kind of the baseline apart."""
    expected, task = baseline.kind.settings(current.task), baseline.task
    return (task.network, task.training, baseline.plan, baseline.w_dsc) == (
        expected.network,
        expected.training,
        current.plan,
        current.w_dsc,
    )
