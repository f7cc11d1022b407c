"""Which generation is served, by a person's decision."""

from lib.errors import InputError, NotTrainedError
from lib.models.generation import Generation
from lib.models.workspace import Workspace
from lib.publication.held_back import HeldBackBy, hold_back, release
from lib.publication.listing import predecessor


def serve_generation(workspace: Workspace, generation: Generation) -> None:
    """Serve a generation from now on, whatever held it back; running servers follow.

    Raises:
        InputError: it is a baseline, which is there for comparison alone.
        DamagedGenerationError: its files are not as published.
        StorageError: the workspace cannot be written to.
    """
    if generation.kind.is_baseline:
        raise InputError(f"{generation.id}: is a baseline ({generation.method}); give a calibrated generation")
    generation.verify()
    release(generation)
    workspace.make_current(generation)


def roll_back(workspace: Workspace, reason: str) -> tuple[Generation, Generation]:
    """Serve the predecessor of the current generation, which no night publishes again by itself.

    Args:
        workspace: whose generation is rolled back.
        reason: why, in words for a person.

    Returns:
        The generation that was served, and the one that is now.

    Raises:
        NotTrainedError: there is no generation.
        InputError: there is no predecessor that may be served.
        DamagedGenerationError: the predecessor's files are not as published.
        StorageError: the workspace cannot be written to.
    """
    current = workspace.current()
    if current is None:
        raise NotTrainedError(f"{workspace.root}: no model is trained yet; there is nothing to go back from")
    left, before = workspace.generation(), predecessor(workspace)
    if before is None:
        raise InputError(
            f"{workspace.root}: no generation before {current} may be served; `generations list` shows what there is"
        )
    before.verify()
    # First, so that an interruption between the two leaves nothing that the next night would publish again.
    hold_back(left, HeldBackBy.ROLLBACK, (reason,))
    workspace.make_current(before)
    return left, before
