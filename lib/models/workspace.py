"""The folder where generations, members, scores and settings live."""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lib.errors import BusyError, DamagedGenerationError, InputError, NotTrainedError, StorageError
from lib.models.generation import Generation, read_generation
from lib.models.method import Method
from lib.storage.atomic import write_text

logger = logging.getLogger(__name__)


class Workspace:
    """Where everything that the product writes is found.

    Args:
        root: folder; made when something is first written.
    """

    def __init__(self, root: Path):
        self.root = Path(root)
        self.generations = self.root / "generations"
        self.members = self.root / "members"
        self.prepared_scans = self.root / "prepared_scans"
        self.out_of_fold = self.root / "out_of_fold"
        self.database_path = self.root / "database.sqlite"
        self._current = self.root / "current"
        self._folds = self.root / "folds.json"

    def current(self) -> str | None:
        """Id of the current generation, None before the first; one small file is read."""
        try:
            return self._current.read_text(encoding="utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None

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
        for path in sorted(self.generations.glob("[!.]*"), reverse=True):
            try:
                generation = read_generation(path)
            except DamagedGenerationError as error:
                logger.warning("Not compared: %s", error)
                continue
            if generation.method is Method.CALIBRATED or generation.labels_digest != current.labels_digest:
                continue
            if _training(generation) != _training(current):
                logger.warning(
                    "Not compared: %s was trained with other settings than the model; train its method again",
                    generation.path,
                )
                continue
            found.setdefault(generation.method, generation)
        return found

    def make_current(self, generation: Generation) -> None:
        """Serve this generation from now on, in one atomic step."""
        write_text(self._current, generation.id)

    def read_folds(self, fold_count: int) -> dict[str, int]:
        """Folds that patients were given before, empty when there were none or another number of folds.

        Raises:
            InputError: the file is damaged.
        """
        try:
            stored = json.loads(self._folds.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise InputError(
                f"{self._folds}: cannot be read ({error}); put back a copy, or remove it and all is trained again"
            ) from error
        return stored["patients"] if stored["fold_count"] == fold_count else {}

    def write_folds(self, patients: dict[str, int], fold_count: int) -> None:
        """Keep the folds of all patients, so that a new label never moves an old scan."""
        write_text(self._folds, json.dumps({"fold_count": fold_count, "patients": patients}, indent=1, sort_keys=True))

    def remove_leftovers(self) -> None:
        """Remove what killed trainings left half-written; for whoever holds the training lock."""
        for folder in (self.generations, self.members, self.prepared_scans, self.out_of_fold):
            for path in folder.glob(".tmp-*"):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()

    @contextmanager
    def scoring_lock(self) -> Iterator[None]:
        """Wait for the right to score, so that no scan is predicted by two runs at once."""
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / "scoring.lock"):
            yield

    @contextmanager
    def training_lock(self) -> Iterator[None]:
        """Hold the right to train; it ends with the process, however that ends.

        Raises:
            BusyError: another process trains in this workspace.
            StorageError: the folder cannot be written to.
        """
        lock = FileLock(self.root / "training.lock")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise BusyError(
                f"{self.root}: another training is running here; wait for it to end or stop it, then train again"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{self.root}: cannot be written ({os.strerror(error.errno or 0)}); choose a workspace that is writable"
            ) from error
        try:
            yield
        finally:
            lock.release()


def _training(generation: Generation) -> tuple[Any, ...]:
    """What networks must have in common to be compared; dropout is what the baseline of that name adds."""
    task = generation.task
    network = task.network.model_copy(update={"dropout": 0.0})
    return network, task.training, generation.plan, generation.findings.w_dsc
