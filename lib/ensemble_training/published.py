"""The generation that a training need not make again."""

import logging
import shutil

from lib.models.generation import Generation, read_generation
from lib.models.generation_folder import damaged_files, folders_with_key, read_manifest
from lib.models.workspace import Workspace
from lib.training.checkpoints import CheckpointStore

logger = logging.getLogger(__name__)


def find_published(workspace: Workspace, key: str) -> Generation | None:
    """Give the generation with this key, None where there is none.

    One that is not as published is removed, with a warning, together with the checkpoints that are damaged with
    it, so that it is made again.

    Args:
        workspace: where generations and checkpoints are kept.
        key: digest of all that the generation depends on.
    """
    for folder in folders_with_key(workspace.generations, key):
        damaged = damaged_files(folder)
        if not damaged and read_manifest(folder).key == key:
            return read_generation(folder)
        if damaged:
            logger.warning("%s: is missing or differs from what was published; it is made again", damaged[0])
            store = CheckpointStore(workspace.members)
            for file in damaged:
                store.forget(file)
            shutil.rmtree(folder)
    return None
