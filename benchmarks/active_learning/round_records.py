"""What is kept of every round, so that none is done twice."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.active_learning.choice import Strategy
from lib.errors import InputError
from lib.storage.atomic import write_text


class Candidate(BaseModel):
    """An unlabelled scan under the model of a round; see `Assessment`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    estimated_dsc: tuple[float, ...]
    true_dsc: tuple[float, ...]
    entropy: float
    volume: float
    distance: float
    """To the nearest labelled scan, in standardised features."""


class Round(BaseModel):
    """One model of a strategy, and what the strategy chose with it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int
    strategy: Strategy
    number: int
    """0 for the model of the start, which all strategies share."""
    labelled: tuple[str, ...]
    """Scans that the model was trained on."""
    folds: dict[str, int]
    """Patient to fold, for the next model to keep."""
    test_dsc: dict[str, tuple[float, ...]]
    """Test scan to DSC of each class, 0..1."""
    candidates: dict[str, Candidate]
    """All unlabelled scans; none in the last round, after which nothing is labelled."""
    chosen: tuple[str, ...]
    """Scans that are labelled next, first choice first."""
    mutual_distances: tuple[float, ...]
    """From each chosen scan to the nearest other chosen one; none where one scan is chosen."""
    seconds: float
    """What training, testing and assessing took the run that finished them; strategies share those of the start."""


class RoundRecords:
    """The rounds that are finished, one file each.

    Args:
        folder: where they are; made when something is first written.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def has(self, seed: int, strategy: Strategy, number: int) -> bool:
        """Whether a round is finished."""
        return self._path(seed, strategy, number).exists()

    def read(self, seed: int, strategy: Strategy, number: int) -> Round:
        """Give a finished round.

        Raises:
            InputError: its file is missing or damaged.
        """
        path = self._path(seed, strategy, number)
        try:
            return Round.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: cannot be read as a round ({reason}); remove it, then start again") from error

    def write(self, finished: Round) -> None:
        """Keep a round, whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        path = self._path(finished.seed, finished.strategy, finished.number)
        write_text(path, finished.model_dump_json(indent=1) + "\n")

    def _path(self, seed: int, strategy: Strategy, number: int) -> Path:
        return self._folder / f"seed_{seed}" / strategy.value / f"round_{number}.json"
