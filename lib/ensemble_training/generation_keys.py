"""Keys of a generation: what it depends on, and with what it can be compared."""

from dataclasses import dataclass

from lib.ensemble_training.labelled_set import LabelledSet
from lib.models.kinds.method import Method
from lib.storage.digest import digest_settings
from lib.task.task import Task
from lib.training.member_job import COMPUTATION_VERSION


@dataclass(frozen=True)
class GenerationKeys:
    """Digests that a generation is known by.

    Attributes:
        generation: of all that it depends on.
        labels: of the scans, their labels and regions, and the task's classes; equal for generations that can
            be compared.
    """

    generation: str
    labels: str


def generation_keys(settings: Task, method: Method, labelled: LabelledSet) -> GenerationKeys:
    """Digest what a generation depends on.

    Args:
        settings: what it is published with.
        method: name of its kind.
        labelled: the labelled scans.
    """
    scans = sorted([scan.name, scan.digest] for scan in labelled.scans)
    everything = {
        "recipe": COMPUTATION_VERSION,
        "method": method,
        "task": settings.model_dump(mode="json"),
        "plan": labelled.plan.model_dump(mode="json"),
        "folds": dict(labelled.fold_of_patient),
        "scans": scans,
    }
    labels = {"scans": scans, "classes": list(settings.labels.items()), "region": settings.region}
    return GenerationKeys(digest_settings(everything), digest_settings(labels))
